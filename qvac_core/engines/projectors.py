"""The vision part of a model: the mmproj file that belongs to it, among those that lie beside it. Blocking.

llama.cpp keeps what turns pictures into tokens in a file of its own. Nothing in it names its model: publishers say it
by file names ("mmproj-F16.gguf" in a folder of one model, "gemma-3-4b-it.mmproj-Q8_0.gguf"). One of another model of
the same width would load, and see nonsense; so the width is no proof, and a name that says nothing is believed only
where there is no other model that it could belong to. Ollama's manifests say which two blobs belong together.
"""

from __future__ import annotations

import re
from pathlib import Path

from qvac_core.engines.gguf import GgufInfo, read_gguf
from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.model_files import part_prefix
from qvac_core.engines.model_kind import ModelKind, kind_of
from qvac_core.engines.ollama_store import projectors_of_blob
from qvac_core.errors import ModelError
from qvac_core.models import ModelDescriptor, all_models, by_name, by_sha256, by_source, is_source

MARK = "mmproj"
# How a file name says in which form the numbers are kept: "-Q4_K_M", ".f16", "-UD-Q4_K_XL", "-imat".
_FORM = re.compile(r"(?<![a-z0-9])(ud|imat|i?q\d[a-z0-9_]*|pt?q\d[a-z0-9_]*|bf16|fp?16|f32|mxfp4)(?![a-z0-9])")


def projector_beside(path: Path, model: GgufInfo) -> Path | None:
    """The vision part for the model at `path`, of the files in its folder; None where none is known to be its own."""
    of_ollama = [file for file in projectors_of_blob(path) if fits(file, model)]
    if of_ollama:
        return of_ollama[0]
    try:
        files = sorted(file for file in path.parent.glob("*.gguf") if file.is_file())
    except OSError:
        return None
    fitting = [file for file in files if MARK in file.name.lower() and fits(file, model)]
    named = [file for file in fitting if _words(file.name) and _words(file.name) == _words(path.name)]
    if not named and len({part_prefix(file.name) for file in files if MARK not in file.name.lower()}) == 1:
        named = fitting
    return min(named, key=lambda file: file.stat().st_size, default=None)


def fits(path: Path, model: GgufInfo) -> bool:
    """Whether the file is a vision part for models as wide as this one."""
    try:
        gguf = read_gguf(path)
    except ModelError:
        return False
    sees = kind_of(gguf) is ModelKind.PROJECTOR and gguf.metadata.get("clip.has_vision_encoder") is True
    return sees and width_fits(gguf, model)


def width_fits(projector: GgufInfo, model: GgufInfo) -> bool:
    """Not said counts as fitting: the engine looks again."""
    width = projector.metadata.get("clip.vision.projection_dim")
    wanted = model.metadata.get(f"{model.architecture}.embedding_length")
    return not isinstance(width, int) or not isinstance(wanted, int) or width == wanted


def _words(file_name: str) -> list[str]:
    """What the name says of the model: in order, without the form of its numbers."""
    plain = part_prefix(file_name.lower()).replace(MARK, " ")
    return re.findall(r"[a-z0-9]+", _FORM.sub(" ", plain))


def projectors_of(descriptor: ModelDescriptor) -> list[ModelDescriptor]:
    """Those of the catalog that its publisher has beside it, the smallest first."""
    if descriptor.is_projector:
        return []
    found = (other for other in all_models() if other.is_projector and _folder(other) == _folder(descriptor))
    return sorted(found, key=lambda other: other.size_bytes)


def file_name_beside(model_file: str, projector: ModelDescriptor) -> str:
    """Under which name it is kept beside its model: most publishers call theirs mmproj-F16.gguf."""
    return (
        f"{part_prefix(model_file)}.{projector.file if MARK in projector.file.lower() else f'{MARK}-{projector.file}'}"
    )


def names_projector(source: str, model: LibraryModel) -> bool:
    """Whether somebody who writes `source` means the vision part that this model has here. Opens nothing."""
    if model.projector is None:
        return False
    if source in (str(model.projector), model.projector.name):
        return True
    wanted = by_source(source) if is_source(source) else by_name(source)
    own = by_sha256(model.sha256)
    return wanted is not None and own is not None and wanted in projectors_of(own)


def _folder(model: ModelDescriptor) -> str:
    return model.src.rpartition("/")[0]
