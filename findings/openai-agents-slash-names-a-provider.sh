#!/usr/bin/env bash
# openai-agents 0.24.0: a model whose name has a slash is never asked for; what stands before it is taken for a provider of the SDK.
#
# Expected: with OPENAI_BASE_URL set, Agent(model="org/name") asks that server for "org/name": so do the openai package, LangChain,
# the AI SDK, llm and pydantic-ai's OpenAIChatModel; the model lists of vLLM, LM Studio, OpenRouter and Hugging Face are full of such names.
# What happens: UserError "Unknown prefix: org", before any request; the sentence speaks of no slash and of no way out.
# Who is hurt: everybody with a server of their own. What helps: Agent(model="openai/org/name"), of which the first part is taken
# off, or an OpenAIResponsesModel object. A server can help by taking a second form of its names without a slash.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --no-compile --disable-pip-version-check openai-agents==0.24.0 2>/dev/null
cat >ask.py <<'PY'
import asyncio, json, os, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked = []


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["model"])
        self.send_response(400)
        self.end_headers()


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1", "OPENAI_API_KEY": "x", "OPENAI_AGENTS_DISABLE_TRACING": "1"}

from agents import Agent, Runner
from openai import OpenAI


def told(act):
    try:
        act()
    except Exception as raised:
        return f"{type(raised).__name__}: {str(raised)[:60]}"


NAME = "org/name"
told(lambda: OpenAI(max_retries=0).responses.create(model=NAME, input="hi"))
by_openai, by_agents = list(asked), told(lambda: asyncio.run(Runner.run(Agent(name="a", model=NAME), "hi")))
of_agents = asked[len(by_openai):]
told(lambda: asyncio.run(Runner.run(Agent(name="a", model=f"openai/{NAME}"), "hi")))
print(f"expected  the server is asked for {NAME}, as by the openai package: {by_openai}")
print(f"seen      {of_agents or 'nothing is asked'}: {by_agents}; with openai/ before it: {asked[-1]}")
holds = by_openai == [NAME] and not of_agents and by_agents.startswith("UserError") and asked[-1] == NAME
print(f"holds: {'yes' if holds else 'no'} (a slash in a model's name is a provider's)")
raise SystemExit(not holds)
PY
echo "openai-agents 0.24.0"
timeout 120 python/bin/python ask.py 2>/dev/null
