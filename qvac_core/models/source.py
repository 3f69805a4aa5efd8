"""Where a model file comes from: the addresses that `modelSrc` may hold, parsed.

Forms of docs/wire/qvac.md section 4. registry://hf is a path on Hugging Face.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from qvac_core.errors import ModelError
from qvac_core.late_dataclass import dataclass

HUGGING_FACE = "https://huggingface.co"
SOURCE_LIMIT = 2048  # characters; longer than any address in use
_PATH = re.compile(
    r"(?P<owner>[\w.-]+)/(?P<repo>[\w.-]+)/(?:blob|resolve)/(?P<revision>[\w.-]+)/(?P<file>.+)", re.ASCII
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HuggingFaceSource:
    """One file of one repository at one revision (a commit, or a branch such as main)."""

    owner: str
    repo: str
    revision: str
    file: str

    @property
    def repo_id(self) -> str:
        return f"{self.owner}/{self.repo}"

    @property
    def file_name(self) -> str:
        return self.file.rsplit("/", 1)[-1]

    def sibling(self, file_name: str) -> HuggingFaceSource:
        """Another file of the same folder."""
        folder, slash, _ = self.file.rpartition("/")
        return replace(self, file=folder + slash + file_name)

    def url(self, endpoint: str = HUGGING_FACE) -> str:
        return f"{endpoint.rstrip('/')}/{self.repo_id}/resolve/{self.revision}/{quote(self.file)}"

    def __str__(self) -> str:
        return f"registry://hf/{self.repo_id}/resolve/{self.revision}/{self.file}"


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A plain https address of one file."""

    address: str

    @property
    def file_name(self) -> str:
        return unquote(urlsplit(self.address).path.rsplit("/", 1)[-1])

    def sibling(self, file_name: str) -> UrlSource:
        """Another file of the same folder."""
        parts = urlsplit(self.address)
        folder, slash, _ = parts.path.rpartition("/")
        return UrlSource(urlunsplit(parts._replace(path=folder + slash + quote(file_name))))

    def url(self, endpoint: str = HUGGING_FACE) -> str:
        return self.address

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True, slots=True)
class CopySource:
    """A file that has no address: machines that have it are known by its sha256 (hex)."""

    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.sha256[:16]}.gguf"

    def sibling(self, file_name: str) -> CopySource:
        raise ModelError("A model in several files can only be fetched from its address.", name="NO_SOURCE")

    def url(self, endpoint: str = HUGGING_FACE) -> str:
        raise ModelError("This model can only be had from a machine that has it. Choose one.", name="NO_SOURCE")

    def __str__(self) -> str:
        return f"copy://{self.sha256}"


ModelSource = HuggingFaceSource | UrlSource | CopySource


def is_source(text: str) -> bool:
    """Whether `text` has the form of an address rather than of a name or a path."""
    return "://" in text


def parse_source(text: str) -> ModelSource:
    """Raises ModelError with a sentence for what cannot be fetched: other registries, hyperdrives, plain http."""
    if len(text) > SOURCE_LIMIT:
        raise ModelError("This model address is too long.", name="MODEL_SOURCE_INVALID")
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # bytes of the command line that are no UTF-8
        raise ModelError("This is not an address of a model.", name="MODEL_SOURCE_INVALID")
    scheme, _, rest = text.partition("://")
    if scheme == "registry":
        registry, _, path = rest.partition("/")
        if registry != "hf":
            raise ModelError(
                f"Models of registry://{registry[:16]} live on a hypercore store that QVAC Desktop cannot read. "
                "Choose a registry://hf model, or add the GGUF file by hand.",
                name="REGISTRY_DOWNLOAD_FAILED",
                code=53015,
            )
        return _hugging_face(path)
    if scheme == "pear":
        raise ModelError(
            "pear:// models live on a hyperdrive, which QVAC Desktop cannot read. "
            "Choose a registry://hf model, or add the GGUF file by hand.",
            name="REGISTRY_DOWNLOAD_FAILED",
            code=53015,
        )
    if scheme == "https":
        return _https(text)
    if scheme == "copy" and _SHA256.fullmatch(rest):
        return CopySource(rest)
    if scheme == "http":
        raise ModelError(
            "A model is fetched over https only: over http anybody on the way could change it.",
            name="MODEL_SOURCE_INVALID",
        )
    raise ModelError("This is not an address of a model.", name="MODEL_SOURCE_INVALID")


def canonical_source(text: str) -> str:
    """One spelling for all addresses of one file: blob or resolve, registry:// or https://huggingface.co."""
    try:
        return str(parse_source(text))
    except ModelError:
        return text


def _hugging_face(path: str) -> HuggingFaceSource:
    match = _PATH.fullmatch(path)
    segments = match["file"].split("/") if match else [""]
    if match is None or any(segment in ("", ".", "..") or "\\" in segment for segment in segments):
        raise ModelError(
            "A Hugging Face model is written registry://hf/OWNER/REPOSITORY/resolve/REVISION/FILE.",
            name="MODEL_SOURCE_INVALID",
        )
    return HuggingFaceSource(match["owner"], match["repo"], match["revision"], match["file"])


def _https(text: str) -> HuggingFaceSource | UrlSource:
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that enclose no IPv6 address, letters that turn into delimiters
        raise ModelError("This is not an address of a model.", name="MODEL_SOURCE_INVALID") from None
    if parts.hostname in ("huggingface.co", "hf.co") and _PATH.fullmatch(unquote(parts.path.lstrip("/"))):
        return _hugging_face(unquote(parts.path.lstrip("/")))
    source = UrlSource(text)
    if not parts.hostname or not source.file_name or source.file_name in (".", ".."):
        raise ModelError("This address names no file.", name="MODEL_SOURCE_INVALID")
    return source
