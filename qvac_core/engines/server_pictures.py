"""Answers of llama.cpp's server about pictures: asked over its own HTTP, in the form of what it hands over in process.

xllamacpp 2026.10.11549. With a projector loaded its in-process `handle_completions` takes the text of a prompt alone,
no tokens and no pictures; `POST /completion` takes all three (tools/server/README.md). Worker process only.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qvac_core.engines.answer_maker import MediaPrompt
from qvac_core.engines.gguf import GgufInfo, read_gguf
from qvac_core.engines.model_kind import ModelKind, kind_of
from qvac_core.engines.picture_decoder import prepared
from qvac_core.engines.projectors import width_fits
from qvac_core.errors import ModelError

SILENCE_SECONDS = 900.0  # a large picture is read in one piece, on a slow machine for minutes
# Of one picture, where the model can choose: a large one would else fill the context of a chat alone.
SHARE_OF_CONTEXT = 4
LEAST_TOKENS = 256
# Whose pictures are read at once, forwards and backwards: all of one must fit into one batch (mtmd.cpp,
# mtmd_decode_use_non_causal).
_AT_ONCE = frozenset(("gemma3", "gemma4v", "gemma4uv", "deepseek4v"))

Chunk = Mapping[str, Any]


def picture_tokens(n_ctx: int) -> int:
    """The most tokens that one picture takes, for models that choose it by its size."""
    return max(LEAST_TOKENS, n_ctx // SHARE_OF_CONTEXT)


def check_projector(path: Path, model: GgufInfo) -> GgufInfo:
    """Its header. Raises ModelError when it is not the vision part of this model."""
    gguf = read_gguf(path)
    if kind_of(gguf) is not ModelKind.PROJECTOR:
        raise ModelError(
            "The file named as the vision part of this model is another kind of file. Name its mmproj file."
        )
    if not width_fits(gguf, model):
        raise ModelError("The vision part (mmproj) belongs to another model. Put the one of this model beside it.")
    return gguf


def batch_tokens(projector: GgufInfo, otherwise: int, n_ctx: int) -> int:
    """Tokens that are read at once."""
    kind = projector.metadata.get("clip.projector_type") or projector.metadata.get("clip.vision.projector_type")
    return max(otherwise, picture_tokens(n_ctx)) if kind in _AT_ONCE else otherwise


class PictureServer:
    """The server at `address`, as a thing that makes answers."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def generate(self, body: Mapping[str, Any], on_chunk: Callable[[Chunk], bool]) -> None:
        """Blocks until the answer is made, or until `on_chunk` has answered true, which ends it."""
        prompt = body["prompt"]
        if isinstance(prompt, MediaPrompt):
            prompt = {
                "prompt_string": prompt.text,
                "multimodal_data": [base64.b64encode(prepared(picture)).decode() for picture in prompt.pictures],
            }
        connection = http.client.HTTPConnection(self._host, self._port, timeout=SILENCE_SECONDS)
        try:
            connection.request("POST", "/completion", json.dumps({**body, "prompt": prompt}), self._headers)
            response = connection.getresponse()
            if response.status != http.client.OK:
                on_chunk(_error(response.read()))
                return
            for line in response:
                kind, _, text = line.partition(b":")
                if kind == b"error":
                    on_chunk(_error(text))
                    return
                if kind == b"data" and on_chunk(_as_completion(json.loads(text))):
                    return  # closing the connection ends it there
        finally:
            connection.close()


def _error(text: bytes) -> Chunk:
    try:
        said = json.loads(text)
    except ValueError:
        said = {"message": text.decode("utf-8", "replace")}
    return {"error": said.get("error", said)}


def _as_completion(chunk: Chunk) -> Chunk:
    """As the OpenAI-shaped endpoint has it."""
    if "error" in chunk:
        return chunk
    if not chunk.get("stop"):
        if (progress := chunk.get("prompt_progress")) is not None:
            return {"prompt_progress": progress, "choices": [{"text": "", "finish_reason": None}]}
        return {"choices": [{"text": chunk.get("content", ""), "finish_reason": None}]}
    timings = chunk["timings"]
    return {
        "choices": [
            {
                "text": chunk.get("content", ""),
                "finish_reason": "length" if chunk.get("stop_type") == "limit" else "stop",
            }
        ],
        "usage": {
            "completion_tokens": chunk["tokens_predicted"],
            "prompt_tokens": chunk["tokens_evaluated"],
            "prompt_tokens_details": {"cached_tokens": timings["cache_n"]},
        },
        "timings": timings,
    }
