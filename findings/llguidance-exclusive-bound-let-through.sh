#!/bin/sh
# llguidance (JSON schema -> token masks, used by llama.cpp, vLLM and others): a number with "exclusiveMinimum": 0 and a
# "maximum" below 1 may still be exactly 0.
# Expected: 0 is not > 0, so it is refused, as it is with "maximum": 5 or without one.
# Happens: with a maximum of 0.25 it is accepted (and -0 with exclusiveMaximum 0 and minimum -0.5, and 1 between 1 and 1.5).
# Hurt: whoever divides by, or takes the logarithm of, a "positive" number that came out of constrained decoding.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check llguidance==1.9.1
cat > "$folder/show.py" <<'PY'
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper, get_version


class Bytes:
    """A vocabulary of the 256 bytes and an end."""

    tokens = [*(bytes([value]) for value in range(256)), b"<end>"]
    eos_token_id, bos_token_id, special_token_ids = 256, None, [256]

    def __call__(self, text):
        return list(text if isinstance(text, bytes) else text.encode())


tokenizer = LLTokenizer(TokenizerWrapper(Bytes()))


def accepts(schema, text):
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(schema), log_level=0)
    return matcher.consume_tokens(list(text.encode())) and matcher.is_accepting()


positive = {"type": "number", "exclusiveMinimum": 0}
rows = [
    (positive, "0", False),
    ({**positive, "maximum": 5}, "0", False),
    ({**positive, "maximum": 0.25}, "0", True),
    ({"type": "number", "exclusiveMinimum": 1, "maximum": 1.5}, "1", True),
]
print("versions:", get_version())
as_seen = True
for schema, text, seen in rows:
    got = accepts(schema, text)
    as_seen = as_seen and got == seen
    print(f"{schema}: {text} expected refused, is {'ACCEPTED' if got else 'refused'}")
print("holds:" if as_seen else "holds no longer:", "an exclusive whole bound is let through when the other one is a fraction away")
raise SystemExit(not as_seen)
PY
timeout 60 "$folder/venv/bin/python" "$folder/show.py"
