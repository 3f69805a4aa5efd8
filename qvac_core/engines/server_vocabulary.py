"""The vocabulary of a model that llama.cpp's server has loaded: its header's list, and the server's own cutting.

The server tells its tokens over HTTP alone (tools/server/README.md, "POST /tokenize"); what a token is stands in the
GGUF header. Worker process only.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qvac_core.engines.gguf import GgufInfo, read_token_types
from qvac_core.engines.vocabulary import Special
from qvac_core.errors import ModelError

ANSWER_LIMIT = 60.0  # seconds; a prompt of a megabyte takes one
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # gguf.TokenType
# llama.cpp takes these for control tokens whatever the header says of them (llama-vocab.cpp, "control-looking token").
_ALWAYS_CONTROL = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "_<EOT>"),
        *("<|end_of_text|>", "<|return|>", "<|call|>", "<|calls|>", "<turn|>", "<|tool_response>", "<|eom|>"),
        *(
            "<｜end▁of▁sentence｜>",
            "<end_of_utterance>",
            "<eos>",
            "</s>",
            "[EOT]",
            "[EOS]",
            "<|flush|>",
            "<|endofprompt|>",
        ),
    )
)


class ServerClient:
    """What the server in this process tells over its own HTTP. address: http://HOST:PORT; key: what it asks for."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_LIMIT)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, **fields: Any) -> Any:
        """Raises ModelError when it refuses."""
        return self._ask("POST", path, json.dumps(fields))

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        try:
            status, content = self._once(method, path, body)
        except (OSError, http.client.HTTPException):  # closed while nobody asked: once more, on a new connection
            self._connection.close()
            status, content = self._once(method, path, body)
        if status != 200:
            raise ModelError("The model cannot read this text.", name="COMPLETION_FAILED", code=52406)
        return json.loads(content)

    def _once(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        return response.status, response.read()


class ServerVocabulary:
    """A `VocabularySource`."""

    def __init__(self, path: Path, gguf: GgufInfo, client: ServerClient) -> None:
        self._client = client
        self._types = [
            (token, text, _CONTROL if kind == _NORMAL else kind)
            for token, text, kind in read_token_types(path)
            if kind != _NORMAL or self._is_control(token, text)
        ]
        self._texts = {token: text for token, text, _ in self._types}
        self._pieces: dict[int, bytes] = {}
        begun = client.post("/tokenize", content="", add_special=True)["tokens"]
        self.adds_bos = bool(begun)
        self.bos = begun[0] if begun else _token(gguf, "bos")
        self.eos = _token(gguf, "eos")

    def _is_control(self, token: int, text: str) -> bool:
        """Whether it is one for the server, though the file calls it plain text."""
        asked = {"content": text, "add_special": False}
        as_control, as_text = (
            self._client.post("/tokenize", **asked, parse_special=special)["tokens"] for special in (True, False)
        )
        return bool(as_control == [token] and as_text != [token])

    def specials(self) -> Iterator[Special]:
        for token, text, kind in self._types:
            yield Special(token, text, hidden=kind in (_UNKNOWN, _CONTROL) or text in _ALWAYS_CONTROL)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        tokens = []
        asked = {"content": text, "add_special": False, "parse_special": special, "with_pieces": True}
        for entry in self._client.post("/tokenize", **asked)["tokens"]:
            token, piece = entry["id"], entry["piece"]
            self._pieces.setdefault(token, piece.encode() if isinstance(piece, str) else bytes(piece))
            tokens.append(token)
        return tokens

    def piece(self, token: int, *, special: bool) -> bytes:
        """Of the control tokens, and of those that `tokenize` has given; others only as text of whole characters."""
        if token in self._texts:
            return self._texts[token].encode() if special else b""
        if token not in self._pieces:  # the end of a sequence, in files that call it an ordinary token
            self._pieces[token] = self._client.post("/detokenize", tokens=[token])["content"].encode()
        return self._pieces[token]


def _token(gguf: GgufInfo, name: str) -> int:
    value = gguf.metadata.get(f"tokenizer.ggml.{name}_token_id", -1)
    return value if isinstance(value, int) else -1
