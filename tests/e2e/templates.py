"""The small model with another chat template, in as many bytes as its own has."""

from __future__ import annotations

from pathlib import Path

from qvac_core.engines.gguf import read_gguf


def with_template(model: Path, template: str, folder: Path) -> Path:
    """A copy in `folder`. A longer template than the model's own makes its header, and so the file, longer."""
    own = read_gguf(model).chat_template.encode()
    other = template.encode()
    path = folder / "templated.gguf"
    content = model.read_bytes()
    at = content.index(own)
    length = len(other)
    spare = (-(length - len(own))) % 32  # the tensors stay where their alignment wants them
    other += b"{#" + b" " * (spare + 28) + b"#}" if spare else b""
    changed = len(other).to_bytes(8, "little") + other
    path.write_bytes(content[: at - 8] + changed + content[at + len(own) :])
    assert read_gguf(path).chat_template == other.decode()
    return path
