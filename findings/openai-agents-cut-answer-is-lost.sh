#!/usr/bin/env bash
# openai-agents 0.24.0: an answer that is cut at max_tokens is thrown away and becomes an exception, streamed or not.
#
# Expected: a server that ends an answer at its greatest length says `status: incomplete` with the reason max_output_tokens, as
# OpenAI's reference describes it. The text is there; the run's result has it, with a word that it is cut (as with the other API:
# OpenAIChatCompletionsModel returns the same answer without any error).
# What happens: ModelBehaviorError "Responses stream ended with terminal event `response.incomplete`", also from Runner.run, which asked
# for no stream. The text is in no field of the exception.
# Who is hurt: servers that tell the truth. One that says `completed` for a cut answer (llama.cpp's server) works, so an endpoint is
# tempted to lie. What helps: set no max_tokens, or use OpenAIChatCompletionsModel.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --no-compile --disable-pip-version-check openai-agents==0.24.0 2>/dev/null
cat >ask.py <<'PY'
import asyncio, json, os, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = {"type": "output_text", "text": "Rome is", "annotations": [], "logprobs": []}
ITEM = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [TEXT]}
USAGE = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 3}
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "status": "incomplete", "error": None,
            "incomplete_details": {"reason": "max_output_tokens"}, "model": "m", "output": [ITEM], "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": [], "usage": USAGE}
CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": "length",
        "message": {"role": "assistant", "content": "Rome is"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        whole = CHAT if "chat" in self.path else RESPONSE
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if body.get("stream") else "application/json")
        self.end_headers()
        if not body.get("stream"):
            self.wfile.write(json.dumps(whole).encode())
            return
        begun = {**RESPONSE, "status": "in_progress", "output": [], "incomplete_details": None, "usage": None}
        delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Rome is", "logprobs": []}
        events = [("response.created", {"response": begun}), ("response.output_text.delta", delta),
                  ("response.output_item.done", {"output_index": 0, "item": ITEM}), ("response.incomplete", {"response": RESPONSE})]
        for number, (kind, content) in enumerate(events):
            data = json.dumps({"type": kind, "sequence_number": number, **content})
            self.wfile.write(f"event: {kind}\ndata: {data}\n\n".encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1", "OPENAI_API_KEY": "x", "OPENAI_AGENTS_DISABLE_TRACING": "1"}

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI


async def told(model):
    try:
        return (await Runner.run(Agent(name="a", model=model), "Where?")).final_output
    except Exception as raised:
        return f"{type(raised).__name__}: {str(raised)[:70]}"


async def main():
    chat = await told(OpenAIChatCompletionsModel("m", AsyncOpenAI()))
    responses = await told("m")
    print(f"expected  the text, as by chat completions: {chat}")
    print(f"seen      by responses: {responses}")
    holds = chat == "Rome is" and responses.startswith("ModelBehaviorError")
    print(f"holds: {'yes' if holds else 'no'} (a cut answer is an exception without its text)")
    raise SystemExit(not holds)


asyncio.run(main())
PY
echo "openai-agents 0.24.0"
timeout 120 python/bin/python ask.py 2>/dev/null
