"""Targets: files that people edit, move, damage or download: settings, known nodes, models."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from qvac_core.engines.gguf import MAGIC, read_gguf
from qvac_core.errors import ModelError, StoreError
from qvac_core.store.known_nodes import MAX_NODES, load_known_nodes, save_known_nodes
from qvac_core.store.settings import Settings
from qvac_core.store.settings_file import SettingsFile
from tests.fuzz.target import Target

NOW = 1_750_000_000.0


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """One for the whole process: making one for each input would take longer than reading it."""
    return tempfile.TemporaryDirectory(prefix="qvac-fuzz-")


def _file(name: str, content: bytes) -> Path:
    path = Path(_folder().name) / name
    path.write_bytes(content)
    return path


def settings_file(data: bytes) -> None:
    """The app starts with any file, keeps a broken one, and what it saves it reads back without a word."""
    path = _file("settings.toml", data)
    file = SettingsFile(path, now=NOW)
    for kept in path.parent.glob("settings.toml.corrupt-*"):
        assert kept.read_bytes() == data and file.notice
        kept.unlink()
    file.text("sharing.models")
    file.text("x.y.z")
    try:
        file.set_text("x.y", "1")
    except StoreError:
        file.save(Settings())
    again = SettingsFile(path, now=NOW)
    assert again.settings == file.settings
    assert again.notice is None


def known_nodes(data: bytes) -> None:
    nodes = load_known_nodes(_file("nodes.json", data))
    assert len(nodes) <= MAX_NODES
    path = Path(_folder().name) / "saved.json"
    with suppress(StoreError):
        save_known_nodes(path, nodes)
        assert load_known_nodes(path) == nodes


def gguf_header(data: bytes) -> None:
    """A model file from anywhere: its header or a sentence; what is kept of it is bounded by its size."""
    try:
        info = read_gguf(_file("model.gguf", data))
    except ModelError as error:
        assert error.message.endswith(".")
        return
    assert data.startswith(MAGIC)
    kept = sum(len(str(key)) + _size(value) for key, value in info.metadata.items())
    assert kept <= 8 * len(data)


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | tuple) else 8


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _gguf(entries: list[bytes], tensors: list[bytes] | None = None, version: int = 3, data: int = 64) -> bytes:
    tensors = tensors or []
    head = MAGIC + struct.pack("<IQQ", version, len(tensors), len(entries))
    return head + b"".join(entries) + b"".join(tensors) + bytes(data)


def _gguf_seeds() -> Iterator[bytes]:
    architecture = _string("general.architecture") + struct.pack("<I", 8) + _string("llama")
    context = _string("llama.context_length") + struct.pack("<II", 4, 2048)
    numbers = _string("a") + struct.pack("<IIQ3i", 9, 5, 3, 1, -2, 3)
    words = _string("w") + struct.pack("<IIQ", 9, 8, 2) + _string("x") + _string("yy")
    real = _string("f") + struct.pack("<Id", 12, 1.5)
    alignment = _string("general.alignment") + struct.pack("<II", 4, 64)
    tensor = _string("t") + struct.pack("<IQQIQ", 2, 4, 8, 1, 0)
    yield _gguf([architecture, context])
    yield _gguf([architecture, numbers, words, real], [tensor])
    yield _gguf([alignment], [tensor], version=2, data=200)
    yield MAGIC


def _settings_seeds() -> Iterator[bytes]:
    yield b'theme = "dark"\ndisplay_name = "x"\n\n[sharing]\non_start = true\nmodels = ["a", "b"]\nlog_days = 3\n'
    yield b'[chat]\nfallback = false\nx = 1979-05-27T07:32:00Z\n[window]\ngeometry = "00"\n[[y]]\nz = {a.b = 1e6}\n'
    yield b"x = " + b"[" * 300 + b"]" * 300
    yield b".".join([b"x"] * 300) + b" = 1"
    yield b"sharing = 3\ntheme = 7\nlog = [1, [2.5, inf], 'x']\n"


TARGETS = [
    Target("settings_file", settings_file, ("qvac_core.store.settings", "tomli_w"), _settings_seeds, 2048, 0.15),
    Target(
        "known_nodes",
        known_nodes,
        ("qvac_core.store.known_nodes",),
        lambda: [b'[{"host":"1.2.3.4","port":5},{"host":"a","port":70000}]'],
        512,
        0.1,
    ),
    Target("gguf_header", gguf_header, ("qvac_core.engines.gguf",), _gguf_seeds, 1024, 0.5),
]
