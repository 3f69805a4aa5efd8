#!/usr/bin/env bash
# gguf 0.19.0 (llama.cpp's own Python package): GGUFWriter.add_string("") and add_array([]) write no key, and say nothing.
#
# Both take the value and return; the key is not in the file. The way below them, add_key_value(), writes the empty text and
# raises for the empty list: so three ways to one value, three outcomes. False, 0 and a list with one empty text are written.
# A header that tells "there is none" (empty) from "nobody said" (no key) loses the difference.
# Who is hurt: converters. A byte-level vocabulary without merges: llama.cpp asks for `tokenizer.ggml.merges` of a byte-pair
# vocabulary and refuses a file without the key. An empty chat template, which says that a base model has none, becomes a
# header in which programs look for a default.
# What helps: add_key_value() for texts that may be empty; compare the keys after writing.
set -euo pipefail
PYTHON=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m venv "$folder/venv"
timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check gguf==0.19.0
cat >"$folder/keys.py" <<'PY'
import sys

import gguf

path = sys.argv[1] + "/header.gguf"
writer = gguf.GGUFWriter(path, "llama")
writer.add_string("tokenizer.chat_template", "")
writer.add_token_merges([])
writer.add_key_value("general.description", "", gguf.GGUFValueType.STRING)
writer.add_array("general.tags", [""])
writer.add_bool("tokenizer.ggml.add_bos_token", False)
writer.add_uint32("llama.block_count", 0)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
asked = {"tokenizer.chat_template", "tokenizer.ggml.merges", "general.description", "general.tags"}
asked |= {"tokenizer.ggml.add_bos_token", "llama.block_count"}
missing = asked - set(gguf.GGUFReader(path).fields)
print(f"expected  all {len(asked)} keys in the file")
print("missing  ", sorted(missing))
holds = missing == {"tokenizer.chat_template", "tokenizer.ggml.merges"}
print(f"holds: {'yes' if holds else 'no'} (an empty value is not written, and nothing is said)")
sys.exit(0 if holds else 1)
PY
echo "gguf 0.19.0, $("$PYTHON" --version)"
timeout 120 "$folder/venv/bin/python" "$folder/keys.py" "$folder"
