#!/bin/sh
# fxtranslate (Firefox's translation engine in Python) 0.5.0: translate_long() cuts a sentence of more than 127 tokens into
# slices and puts their translations together without the space that stood between them.
# Expected: words stay apart, whatever the length of the sentence, as they do below 127 tokens.
# Happens: "... mot motmot mot ..." at each seam: two words are one, in a place that nobody looks at.
# Hurt: whoever translates legal or technical texts, whose sentences are that long, or text without full stops.
# The model is made here: one word and its translation, carried over by attention to the same place.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check fxtranslate==0.5.0 numpy
cat > "$folder/show.py" <<'PY'
import struct

import fxtranslate
import numpy as np

DIM, HALF = 256, 128
PIECES = ["</s>", "<unk>", "▁word", "▁mot"]


def vocabulary():
    data = b""
    for piece, kind in zip(PIECES, (3, 2, 1, 1)):
        text = piece.encode()
        entry = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", -1.0) + b"\x18" + bytes([kind])
        data += b"\x0a" + bytes([len(entry)]) + entry
    return data


def model():
    """A decoder layer that looks at the word in the same place, and writes its translation."""
    places = [column for column in range(DIM) if column % HALF < HALF // 4]
    still = HALF - 1  # a sinusoid that hardly moves
    words = [column for column in range(DIM) if column % HALF >= HALF // 2 and column != still][: len(PIECES)]
    nothing, zero, one = np.zeros((DIM, DIM)), np.zeros((1, DIM)), np.ones((1, DIM))
    embedding = np.zeros((len(PIECES), DIM))
    embedding[range(len(PIECES)), words] = 1
    look, carry = nothing.copy(), nothing.copy()
    look[places, places], look[still, places] = 24, -24
    for source, target in enumerate((0, 1, 3, 3)):
        carry[words[source], words[target]] = 30
    layer = "decoder_l1"
    items = {"Wemb": embedding, f"{layer}_rnn_W": nothing, f"{layer}_rnn_Wf": nothing, f"{layer}_rnn_bf": zero}
    for letter, weight in zip("qkvo", (look, look, carry, np.eye(DIM))):
        items |= {f"{layer}_context_W{letter}": weight, f"{layer}_context_b{letter}": zero}
    for number in "12":
        items |= {f"{layer}_ffn_W{number}": nothing, f"{layer}_ffn_b{number}": zero}
    for name in ("rnn_ffn", "context_Wo", "ffn_ffn"):
        items |= {f"{layer}_{name}_ln_scale": one, f"{layer}_{name}_ln_bias": zero}
    config = "dim-emb: 256\nenc-depth: 0\ndec-depth: 1\ntransformer-heads: 1\ntransformer-dim-ffn: 256\n"
    blocks = [(name, 0x404, value.shape, value.astype("<f4").tobytes()) for name, value in items.items()]
    blocks.append(("special:model.yml", 0x101, (len(config) + 1,), config.encode() + b"\0"))
    data = struct.pack("<2Q", 1, len(blocks))
    for name, kind, shape, block in blocks:
        data += struct.pack("<4Q", len(name) + 1, kind, len(shape), len(block))
    data += b"".join(name.encode() + b"\0" for name, *_ in blocks)
    for _, _, shape, _ in blocks:
        data += struct.pack(f"<{len(shape)}i", *shape)
    return data + struct.pack("<Q", 0) + b"".join(block for *_, block in blocks)


translator = fxtranslate.Translator(model(), vocabulary(), vocabulary())
for count in (100, 127, 128, 300):
    words = translator.translate_long(" ".join(["word"] * count)).split()
    glued = [word for word in words if word != "mot"]
    print(f"{count} words: {len(words)} translated, glued together: {glued}")
    assert bool(glued) == (count > 127), "this has changed"
PY
timeout 60 "$folder/venv/bin/python" "$folder/show.py"
