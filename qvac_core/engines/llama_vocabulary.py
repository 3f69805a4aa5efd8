"""The vocabulary of a model that llama-cpp-python has loaded.

The low-level API of llama-cpp-python 0.3.36 (llama.cpp 0c1e57098). Worker process only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

from llama_cpp import llama_cpp as llama

from qvac_core.engines.vocabulary import Special
from qvac_core.errors import ModelError


class LlamaVocabulary:
    """A `VocabularySource`. model: as llama_model_load_from_file gave it."""

    def __init__(self, model: Any) -> None:
        self._vocab = llama.llama_model_get_vocab(model)
        self._buffer = ctypes.create_string_buffer(256)

    @property
    def bos(self) -> int:
        return int(llama.llama_vocab_bos(self._vocab))

    @property
    def eos(self) -> int:
        return int(llama.llama_vocab_eos(self._vocab))

    @property
    def adds_bos(self) -> bool:
        return bool(llama.llama_vocab_get_add_bos(self._vocab))

    @property
    def size(self) -> int:
        return int(llama.llama_vocab_n_tokens(self._vocab))

    def is_control(self, token: int) -> bool:
        """Whether it stands for no text that an answer may be made of."""
        kind = llama.llama_vocab_get_attr(self._vocab, token)
        return bool(kind & (llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN))

    def specials(self) -> Iterator[Special]:
        for token in range(llama.llama_vocab_n_tokens(self._vocab)):
            kind = llama.llama_vocab_get_attr(self._vocab, token)
            hidden = bool(kind & (llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN))
            if not hidden and not kind & llama.LLAMA_TOKEN_ATTR_USER_DEFINED:
                continue
            yield Special(
                token,
                llama.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace"),
                hidden,
                bool(kind & llama.LLAMA_TOKEN_ATTR_LSTRIP),
                bool(kind & llama.LLAMA_TOKEN_ATTR_RSTRIP),
            )

    def is_end(self, token: int) -> bool:
        return bool(llama.llama_vocab_is_eog(self._vocab, token))

    def piece(self, token: int, *, special: bool) -> bytes:
        buffer = self._buffer
        length = llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        if length < 0:
            buffer = self._buffer = ctypes.create_string_buffer(-length)
            length = llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:length]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), tokens, room, False, special)
        if count < 0:
            raise ModelError("The model cannot read this text.", name="COMPLETION_FAILED", code=52406)
        return list(tokens[:count])
