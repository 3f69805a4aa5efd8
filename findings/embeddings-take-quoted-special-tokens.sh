#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): a text that quotes a special token gets the embedding of another text.
#
# Expected: texts to embed are data. "what does [SEP] mean" is tokenized as the original model's tokenizer does with
# `encode_special_tokens` (or as any text is): the five characters of "[SEP]".
# What happens: the server reads it as the control token that ends a text. The vector is that of a text cut in two, and no parameter of
# /v1/embeddings changes it; /tokenize of the same server keeps the text a text (`parse_special: false`).
# Who is hurt: search over documentation, source code, chat logs and prompts, which quote such tokens all the time: the pages
# about them are found worst. What helps: tokenize yourself and give the server lists of numbers.
# Seen here with a tiny random BERT. @qvac/embed-llamacpp 0.28.0 does the same: with all-MiniLM-L6-v2, the cosine between the two
# readings of one sentence was 0.78.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 2>/dev/null
cat >model.py <<'PY'
import gguf, numpy

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u2581the", "\u2581sea", "\u2581is", "\u2581blue", "\u2581and", "\u2581wide", "\u2581[", "se", "p", "sep", "]", "\u2581]", "\u2581sep"]
width, deep, room = 32, 64, 512
noise = numpy.random.default_rng(1)
writer = gguf.GGUFWriter("tiny.gguf", "bert")
writer.add_name("tiny")
writer.add_file_type(0)
writer.add_vocab_size(len(words))
writer.add_block_count(1)
writer.add_context_length(room)
writer.add_embedding_length(width)
writer.add_feed_forward_length(deep)
writer.add_head_count(2)
writer.add_layer_norm_eps(1e-12)
writer.add_causal_attention(False)
writer.add_pooling_type(gguf.PoolingType.MEAN)
writer.add_token_type_count(2)
writer.add_tokenizer_model("bert")
writer.add_tokenizer_pre("jina-v2-en")
writer.add_token_list(words)
writer.add_token_types([3, 2, 3, 3, 3] + [1] * (len(words) - 5))
writer.add_bos_token_id(2)
writer.add_eos_token_id(3)
writer.add_unk_token_id(1)
writer.add_sep_token_id(3)
writer.add_pad_token_id(0)
writer.add_mask_token_id(4)
shapes = {"token_embd": (len(words), width), "position_embd": (room, width), "token_types": (2, width)}
shapes |= {f"blk.0.{name}": (width, width) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
shapes |= {"blk.0.ffn_up": (deep, width), "blk.0.ffn_down": (width, deep)}
for name, shape in shapes.items():
    writer.add_tensor(f"{name}.weight", noise.normal(0, 0.1, shape).astype(numpy.float32))
    if name.startswith("blk"):
        writer.add_tensor(f"{name}.bias", numpy.zeros(shape[0], numpy.float32))
for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
    writer.add_tensor(f"{name}.weight", numpy.ones(width, numpy.float32))
    writer.add_tensor(f"{name}.bias", numpy.zeros(width, numpy.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
PY
python/bin/python model.py
cat >ask.py <<'PY'
import json
import urllib.request

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = "tiny.gguf"
params.embedding = True
params.n_ctx = params.n_batch = params.n_ubatch = 512
params.n_parallel = 1
params.warmup = False
params.port = 0
params.verbosity = 0
server = xllamacpp.Server(params)


def ask(path, **body):
    request = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=30))


def used(value):
    reply = ask("/v1/embeddings", input=value)
    return reply["usage"]["prompt_tokens"], [round(number, 5) for number in reply["data"][0]["embedding"][:3]]


text = "the sea [SEP] is wide"
as_text = ask("/tokenize", content=text, add_special=True, parse_special=False)["tokens"]
as_control = ask("/tokenize", content=text, add_special=True, parse_special=True)["tokens"]
given, spelled, cut = used(text), used(as_text), used(as_control)
print(f"expected  the text embeds as its {len(as_text)} tokens: {spelled}")
print(f"seen      {given}, which is the text with the control token in it: {cut}")
holds = given == cut != spelled
print(f"holds: {'yes' if holds else 'no'} (a quoted special token is read as one)")
raise SystemExit(not holds)
PY
echo "xllamacpp 2026.10.11549"
timeout 60 python/bin/python ask.py 2>/dev/null
