#!/usr/bin/env bash
# xllamacpp 2026.10.11549: with a projector (mmproj) loaded, `Server.handle_completions` takes no prompt of tokens any more, and no pictures.
#
# Expected: a model that sees is asked like any other. tools/server/README.md of llama.cpp: "prompt" is a string, a list of tokens, or an
# object {"prompt_string", "multimodal_data"} for pictures. The same call without the projector takes the tokens.
# What happens: an error chunk, "type must be string, but is array" (or "object"), for both; only a string is left, in which every control
# token that somebody quotes is one. The same server takes both over its own HTTP, POST /completion.
# Who is hurt: who tokenizes alone, so that text of users stays text, and meets the error only with the first model that sees; who reads the README
# for how to show a picture in process. What helps: POST /completion on `listening_address`, or /v1/chat/completions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 2>/dev/null
cat >model.py <<'PY'
import gguf, numpy

width, deep, sight, side, patch = 32, 64, 24, 32, 4
noise = numpy.random.default_rng(1)
words = [f"\u2581{first}{last}" for first in ("ba", "do", "fi", "lu", "me", "ra", "su", "ti") for last in "klmnprst"]
tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *words]


def write(path, arch, fields, shapes):
    writer = gguf.GGUFWriter(path, arch)
    for key, value in fields.items():
        kind = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        kind.get(type(value), writer.add_array)(key, value)
    for name, (shape, strength) in shapes.items():
        data = noise.uniform(-strength, strength, shape).astype(numpy.float32)
        if name == "output.weight":
            data[: -len(words)] = 0
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


square = ((width, width), 0.9)
write("tiny.gguf", "llama", {
    "llama.block_count": 1, "llama.context_length": 512, "llama.embedding_length": width, "llama.feed_forward_length": deep,
    "llama.attention.head_count": 2, "llama.attention.head_count_kv": 2, "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.scores": [0.0] * 3 + [-float(place) for place in range(len(tokens) - 3)],
    "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * (len(tokens) - 259),
    "tokenizer.ggml.unknown_token_id": 0, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
}, {
    "token_embd.weight": ((len(tokens), width), 0.3), "output_norm.weight": ((width,), 0.3), "output.weight": ((len(tokens), width), 0.3),
    "blk.0.attn_norm.weight": ((width,), 0.3), "blk.0.attn_q.weight": ((width, width), 0.3), "blk.0.attn_k.weight": ((width, width), 0.3),
    "blk.0.attn_v.weight": square, "blk.0.attn_output.weight": square, "blk.0.ffn_norm.weight": ((width,), 0.3),
    "blk.0.ffn_gate.weight": ((deep, width), 0.3), "blk.0.ffn_up.weight": ((deep, width), 0.3), "blk.0.ffn_down.weight": ((width, deep), 0.3),
})
shapes = {
    "v.patch_embd.weight": ((sight, 3, patch, patch), 1.2), "v.patch_embd.bias": ((sight,), 0.3),
    "v.position_embd.weight": (((side // patch) ** 2, sight), 0.3), "v.post_ln.weight": ((sight,), 0.3), "v.post_ln.bias": ((sight,), 0.3),
    "mm.input_projection.weight": ((sight, width), 1.2), "mm.soft_emb_norm.weight": ((sight,), 0.3),
    "v.blk.0.ffn_up.weight": ((deep, sight), 0.3), "v.blk.0.ffn_up.bias": ((deep,), 0.3),
    "v.blk.0.ffn_down.weight": ((sight, deep), 0.3), "v.blk.0.ffn_down.bias": ((sight,), 0.3),
}
for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
    shapes |= {f"v.blk.0.{name}.weight": ((sight, sight), 0.3), f"v.blk.0.{name}.bias": ((sight,), 0.3)}
for name in ("ln1", "ln2"):
    shapes |= {f"v.blk.0.{name}.weight": ((sight,), 0.3), f"v.blk.0.{name}.bias": ((sight,), 0.3)}
write("mmproj.gguf", "clip", {
    "general.type": "mmproj", "clip.projector_type": "gemma3", "clip.has_vision_encoder": True, "clip.use_gelu": True,
    "clip.vision.image_size": side, "clip.vision.patch_size": patch, "clip.vision.projector.scale_factor": 1,
    "clip.vision.embedding_length": sight, "clip.vision.feed_forward_length": deep, "clip.vision.block_count": 1,
    "clip.vision.projection_dim": width, "clip.vision.attention.head_count": 2, "clip.vision.attention.layer_norm_epsilon": 1e-6,
    "clip.vision.image_mean": [0.5, 0.5, 0.5], "clip.vision.image_std": [0.5, 0.5, 0.5],
}, shapes)
PY
python/bin/python model.py
cat >ask.py <<'PY'
import base64, json, struct, sys, urllib.request, zlib

import xllamacpp


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


rows = b"".join(b"\0" + bytes((x * 8 % 256, y * 8 % 256, 0)[c] for x in range(32) for c in range(3)) for y in range(32))
png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def started(projector):
    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = "tiny.gguf", projector
    params.n_ctx, params.n_parallel, params.port, params.verbosity = 512, 1, 0, 0
    params.warmup = params.fit_params = False
    params.chat_template = "chatml"
    return xllamacpp.Server(params)


def in_process(server, prompt):
    chunks = []
    server.handle_completions({"prompt": prompt, "n_predict": 4, "temperature": 0, "stream": True}, lambda chunk: chunks.append(chunk) and False)
    error = next((chunk["error"]["message"] for chunk in chunks if "error" in chunk), None)
    return f"error: {error}" if error else "an answer"


def over_http(server, prompt):
    body = json.dumps({"prompt": prompt, "n_predict": 4, "temperature": 0}).encode()
    request = urllib.request.Request(server.listening_address + "/completion", body, {"Content-Type": "application/json"})
    return "an answer" if json.load(urllib.request.urlopen(request, timeout=30))["content"] else "nothing"


tokens = [1, 5, 80, 90]
blind, seeing = started(""), started("mmproj.gguf")
marker = json.load(urllib.request.urlopen(seeing.listening_address + "/props", timeout=30))["media_marker"]
picture = {"prompt_string": f"{marker} hello", "multimodal_data": [base64.b64encode(png).decode()]}
seen = {
    "tokens, no projector, in process": in_process(blind, tokens),
    "tokens, projector, in process": in_process(seeing, tokens),
    "picture, projector, in process": in_process(seeing, picture),
    "tokens, projector, over HTTP": over_http(seeing, tokens),
    "picture, projector, over HTTP": over_http(seeing, picture),
}
for what, result in seen.items():
    print(f"{what:34} {result}")
good = [result == "an answer" for result in seen.values()]
holds = good == [True, False, False, True, True]
print(f"holds: {'yes' if holds else 'no'} (a projector takes tokens and pictures away from handle_completions)")
sys.stdout.flush()
raise SystemExit(not holds)
PY
echo "xllamacpp 2026.10.11549"
timeout 120 python/bin/python ask.py 2>/dev/null
