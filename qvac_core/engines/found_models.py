"""Models that other programs have on this machine, found where those programs keep them. Blocking, read only, bounded.

Layouts as of: LM Studio 0.4 (~/.lmstudio/models/PUBLISHER/MODEL/FILE.gguf; another home is named by
~/.lmstudio-home-pointer, another folder by settings.json), Ollama 0.12 (ollama_store.py), Jan 0.7
(DATA/llamacpp/models/ID/model.gguf; DATA is named by settings.json), llama.cpp's cache (one folder of .gguf files),
Hugging Face's cache as huggingface_hub 2.4 has it (models--OWNER--NAME/snapshots/COMMIT/FILE, links to blobs or files).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from qvac_core.engines.gguf import MAGIC
from qvac_core.engines.model_files import part_names, part_prefix
from qvac_core.engines.ollama_store import names_of
from qvac_core.engines.whisper_file import is_ggml
from qvac_core.models import model_title, quantization_in

log = logging.getLogger("qvac.engines")

ENTRIES = 20_000  # of folders, in all programs together: a home on a slow network must not be read for ever
SECONDS = 10.0
DEPTH = 5  # folders inside each other
SETTINGS_LIMIT = 1 << 20  # bytes of a settings file or a manifest
_HIDDEN = ("mmproj", "ggml-vocab")


@dataclass(frozen=True, slots=True)
class Found:
    """path: as the program names it, links and all. size_bytes: of all its files."""

    path: Path
    title: str
    quantization: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Program:
    id: str
    name: str
    folder: Path
    models: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """Where this person's files lie. platform: as sys.platform."""

    folder: Path
    environment: Mapping[str, str]
    platform: str = sys.platform

    @classmethod
    def of_this_user(cls) -> Home:
        return cls(Path.home(), os.environ)

    def variable(self, name: str) -> Path | None:
        """A folder that a variable names."""
        text = self.environment.get(name, "").strip()
        return self.expanded(text) if text else None

    def expanded(self, text: str) -> Path:
        return self.folder / text[2:] if text.startswith("~/") else Path(text)

    @property
    def cache(self) -> Path:
        if self.platform == "win32":
            return self.variable("LOCALAPPDATA") or self.folder / "AppData" / "Local"
        if self.platform == "darwin":
            return self.folder / "Library" / "Caches"
        return self.variable("XDG_CACHE_HOME") or self.folder / ".cache"

    @property
    def application_data(self) -> Path:
        if self.platform == "win32":
            return self.variable("APPDATA") or self.folder / "AppData" / "Roaming"
        if self.platform == "darwin":
            return self.folder / "Library" / "Application Support"
        return self.variable("XDG_CONFIG_HOME") or self.folder / ".config"


class _Bound:
    """How much is still looked at."""

    def __init__(self) -> None:
        self._entries = ENTRIES
        self._until = time.monotonic() + SECONDS

    def spent(self) -> bool:
        self._entries -= 1
        return self._entries < 0 or time.monotonic() > self._until


def find_programs(home: Home) -> list[Program]:
    """Those that have a model that could be used. A folder that cannot be read is passed over."""
    bound = _Bound()
    programs = []
    for id, name, folders in _places(home):
        seen: set[Path] = set()
        for folder in folders:
            if not _is_folder(folder) or folder in seen:
                continue
            seen.add(folder)
            models = tuple(_of_ollama(folder, bound) if id == "ollama" else _files(folder, bound))
            if models:
                programs.append(Program(id, name, folder, models))
    return programs


def program_of(home: Home, path: Path) -> str:
    """The name of the program in whose folder this file lies, "" = of none. Looks at settings alone."""
    for _, name, folders in _places(home):
        if any(path.is_relative_to(folder) for folder in folders):
            return name
    return ""


def _places(home: Home) -> list[tuple[str, str, list[Path]]]:
    return [
        ("lm-studio", "LM Studio", _lm_studio(home)),
        ("ollama", "Ollama", _ollama(home)),
        ("jan", "Jan", _jan(home)),
        ("llama.cpp", "llama.cpp", _llama_cpp(home)),
        ("hugging-face", "Hugging Face", _hugging_face(home)),
    ]


# --- Where ----------------------------------------------------------------------------------------------------------


def _lm_studio(home: Home) -> list[Path]:
    homes = [home.folder / ".lmstudio", home.folder / ".cache" / "lm-studio"]
    pointed = _text(home.folder / ".lmstudio-home-pointer").strip()
    if pointed:
        homes.insert(0, home.expanded(pointed))
    folders = []
    for one in homes:
        chosen = _setting(one / "settings.json", "downloadsFolder")
        folders += [home.expanded(chosen)] if chosen else []
        folders.append(one / "models")
    return folders


def _ollama(home: Home) -> list[Path]:
    folders = [home.variable("OLLAMA_MODELS"), home.folder / ".ollama" / "models"]
    if home.platform == "linux":  # as its installer sets up the service
        folders += [Path("/usr/share/ollama/.ollama/models"), Path("/var/lib/ollama/models")]
    return [folder for folder in folders if folder is not None]


def _jan(home: Home) -> list[Path]:
    own = home.application_data / "Jan"
    chosen = _setting(own / "settings.json", "data_folder")
    data = [home.expanded(chosen)] if chosen else []
    data += [own / "data", home.folder / "jan"]
    return [one / sub for one in data for sub in ("llamacpp/models", "models")]


def _llama_cpp(home: Home) -> list[Path]:
    return [home.variable("LLAMA_CACHE") or home.cache / "llama.cpp"]


def _hugging_face(home: Home) -> list[Path]:
    hub = home.variable("HF_HUB_CACHE") or home.variable("HUGGINGFACE_HUB_CACHE")
    own = home.variable("HF_HOME")
    # Not `home.cache`: it is ~/.cache on every system.
    cache = home.variable("XDG_CACHE_HOME") or home.folder / ".cache"
    return [hub or (own / "hub" if own is not None else cache / "huggingface" / "hub")]


# --- What -----------------------------------------------------------------------------------------------------------


def _files(folder: Path, bound: _Bound) -> Iterator[Found]:
    """Model files below a folder, one for each model that comes in parts, and each content once."""
    contents: set[tuple[int, int]] = set()
    for path in _walk(folder, DEPTH, bound):
        try:
            status = path.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in contents and status.st_ino:
            continue
        contents.add((status.st_dev, status.st_ino))
        found = _model(path)
        if found is not None:
            yield found


def _walk(folder: Path, depth: int, bound: _Bound) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if bound.spent():
            return
        try:
            if entry.is_dir(follow_symlinks=False):
                # "blobs" of Hugging Face hold the same files under names that say nothing.
                if depth and entry.name not in ("blobs", ".locks"):
                    yield from _walk(Path(entry.path), depth - 1, bound)
            elif entry.name.endswith((".gguf", ".bin")) and entry.is_file():
                yield Path(entry.path)
        except OSError:
            continue


def _model(path: Path) -> Found | None:
    name = path.name.lower()
    if any(mark in name for mark in _HIDDEN):
        return None
    if path.suffix == ".bin":
        if not is_ggml(path):
            return None
        return Found(path, model_title(path.stem), "", path.stat().st_size)
    names = part_names(path.name)
    if len(names) > 1 and path.name != names[0]:
        return None
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return None
        size = sum(path.with_name(part).stat().st_size for part in (names if len(names) > 1 else [path.name]))
    except OSError:  # unreadable, or a part is missing
        return None
    stem = part_prefix(path.name)
    # Jan calls every model model.gguf: its folder says which one it is.
    title = path.parent.name if stem.lower() == "model" else stem
    return Found(path, model_title(title), quantization_in(path.name), size)


def _of_ollama(folder: Path, bound: _Bound) -> Iterator[Found]:
    seen: set[Path] = set()
    for named in names_of(folder, bound.spent):
        # With its vision part: it is used too.
        beside = sum(size for _blob, size in named.projectors)
        for blob, size in named.models:
            if blob not in seen:
                seen.add(blob)
                yield Found(blob, named.name, quantization_in(named.tag), size + beside)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # what a settings file names may be no path at all
        return False


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SETTINGS_LIMIT)
    except (OSError, ValueError):
        return b""


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")


def _setting(path: Path, name: str) -> str:
    try:
        value = json.loads(_text(path) or "{}")
    except (ValueError, RecursionError):
        return ""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
