#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): a photo that a phone took upright is shown to the model lying on its side.
#
# Expected: what every viewer shows. A phone stores the sensor's rows and says in EXIF by how much to turn them (orientation 6 for a phone held
# upright); browsers, viewers and the image libraries of the models' own processors turn the picture.
# What happens: the picture is read by stb_image, which leaves EXIF aside. The answer to the photo is that to the unturned pixels, at temperature 0 word for
# word, and another one than that to the picture as a person sees it.
# Who is hurt: everybody who sends photos of a phone, most of all of text: nothing says that the model saw a page turned by 90 degrees.
# What helps: turn it before (Pillow: ImageOps.exif_transpose).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 pillow==12.2.0 2>/dev/null
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
import base64, io, json, sys, urllib.request

import xllamacpp
from PIL import Image, ImageOps

params = xllamacpp.CommonParams()
params.model.path, params.mmproj.path = "tiny.gguf", "mmproj.gguf"
params.n_ctx, params.n_parallel, params.port, params.verbosity = 512, 1, 0, 0
params.warmup = params.fit_params = False
params.chat_template = "chatml"
server = xllamacpp.Server(params)
marker = json.load(urllib.request.urlopen(server.listening_address + "/props", timeout=30))["media_marker"]


def jpeg(image, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def answer(data):
    prompt = {"prompt_string": f"{marker} what", "multimodal_data": [base64.b64encode(data).decode()]}
    body = json.dumps({"prompt": prompt, "n_predict": 8, "temperature": 0, "cache_prompt": False, "samplers": ["temperature"]}).encode()
    request = urllib.request.Request(server.listening_address + "/completion", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=30))["content"].strip()


# Sky above, earth below: as the sensor of an upright phone has it, sky on the left.
rows = Image.new("RGB", (64, 64), (90, 60, 20))
rows.paste((120, 180, 255), (0, 0, 32, 64))
photo = jpeg(rows, orientation=6)
as_seen = ImageOps.exif_transpose(Image.open(io.BytesIO(photo)))
assert as_seen.getpixel((32, 4))[2] > 200 > as_seen.getpixel((32, 60))[2], "sky above"
sent, upright, unturned = answer(photo), answer(jpeg(as_seen)), answer(jpeg(rows))
print(f"expected  the photo is answered as the picture that people see: {upright!r}")
print(f"seen      {sent!r}; the pixels as they are stored, without the tag: {unturned!r}")
holds = sent == unturned != upright
print(f"holds: {'yes' if holds else 'no'} (orientation is left aside)")
sys.stdout.flush()
raise SystemExit(not holds)
PY
echo "xllamacpp 2026.10.11549, Pillow 12.2.0 to write and turn the picture"
timeout 120 python/bin/python ask.py 2>/dev/null
