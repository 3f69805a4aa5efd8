#!/usr/bin/env bash
# openai 3.57.0 (Python): the helper `chat.completions.stream()` raises for a plain text that was cut at max_tokens.
#
# Expected: get_final_completion() of a stream gives what create() without a stream gives: the text, with finish_reason "length". The
# error LengthFinishReasonError is documented for structured output, of which half cannot be parsed.
# What happens: it raises "Could not parse response content as the length limit was reached" although no response_format and no
# tool was given and nothing is to be parsed. create(stream=True) and create() of the same answer do not raise.
# Who is hurt: programs that show text as it comes, with a limit. What helps: stream.current_completion_snapshot, or the exception's
# `completion`, which both have the whole text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --no-compile --disable-pip-version-check openai==3.57.0 2>/dev/null
cat >ask.py <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

FRAME = {"id": "c", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        streamed = json.loads(self.rfile.read(int(self.headers["content-length"]))).get("stream")
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.end_headers()
        if not streamed:
            choice = {"index": 0, "message": {"role": "assistant", "content": "Rome is"}, "finish_reason": "length"}
            self.wfile.write(json.dumps({**FRAME, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode())
            return
        for delta, finish in (({"role": "assistant", "content": "Rome is"}, None), ({}, "length")):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            self.wfile.write(b"data: " + json.dumps({**FRAME, "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="x", max_retries=0)
asked = {"model": "m", "messages": [{"role": "user", "content": "Where?"}], "max_tokens": 2}
whole = client.chat.completions.create(**asked).choices[0]
with client.chat.completions.stream(**asked) as stream:
    for _ in stream:
        pass
    try:
        seen = stream.get_final_completion().choices[0].message.content
    except openai.LengthFinishReasonError as raised:
        seen = f"{type(raised).__name__}: {str(raised)[:60]}"
print(f"expected  {whole.message.content!r}, {whole.finish_reason}")
print(f"seen      {seen}")
holds = whole.message.content == "Rome is" and seen.startswith("LengthFinishReasonError")
print(f"holds: {'yes' if holds else 'no'} (a text that is cut raises where nothing is parsed)")
raise SystemExit(not holds)
PY
echo "openai 3.57.0"
timeout 60 python/bin/python ask.py 2>/dev/null
