"""A llama_context and its memory: sequences that are cut, copied, saved and put back, in as many cells as are needed.

The low-level API of llama-cpp-python 0.3.36 (llama.cpp 0c1e57098). It writes the whole cache once when it makes a
context, so cells that nobody needs yet cost memory all the same: four idle chats of 4,096 tokens held 378 MB of it for
a model of 98 MB. A context begins small here, and a larger one takes its place when chats need it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from llama_cpp import llama_cpp as llama

from qvac_core.engines.checkpoints import MemoryKind, State

START_CELLS = 4096  # tokens, all chats together; doubled when they are full, which costs running chats about 0.2 s
_PART = llama.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY


class LlamaContext:
    """One sequence per slot index. Used from one thread; `pointer` changes when it grows, between two steps."""

    def __init__(
        self,
        model: Any,
        params: Callable[[int, int], Any],
        *,
        most_cells: int,
        slots: int,
        grows: bool,
        free: Callable[[], int],
        size_of: Callable[[int], int],
    ) -> None:
        """params: llama_context_params for so many cells and sequences. most_cells: for all chats. Raises MemoryError.

        grows: begin with few cells. free: bytes of memory that may still be taken; size_of: bytes of so many cells.
        """
        self._model = model
        self._params = params
        self._most = most_cells
        self._free = free
        self._size_of = size_of
        self.kind = MemoryKind(
            window=int(llama.llama_model_n_swa(model)),
            recurrent=bool(llama.llama_model_is_recurrent(model) or llama.llama_model_is_hybrid(model)),
        )
        # A window or a state takes memory for each sequence. Where there is none, one more holds the preamble.
        self._sequences = slots + 1 if self.kind.plain else slots
        # A recurrent state has one size, however many tokens it has seen.
        self._grows = grows and not llama.llama_model_is_recurrent(model)
        pointer = self._made(min(most_cells, START_CELLS) if self._grows else most_cells)
        if pointer is None:
            raise MemoryError
        self.pointer = pointer
        self._memory = llama.llama_get_memory(pointer)
        self.n_cells = int(llama.llama_n_ctx(pointer))
        self.n_batch = int(llama.llama_n_batch(pointer))

    def _made(self, cells: int) -> Any:
        return llama.llama_init_from_model(self._model, self._params(cells, self._sequences))

    def close(self) -> None:
        llama.llama_free(self.pointer)

    # --- Sequences --------------------------------------------------------------------------------------------------

    def keep(self, slot: int, tokens: int) -> bool:
        return bool(llama.llama_memory_seq_rm(self._memory, slot, tokens, -1))

    def copy(self, source: int, target: int, tokens: int) -> None:
        llama.llama_memory_seq_cp(self._memory, source, target, 0, tokens)

    def span(self, slot: int) -> tuple[int, int]:
        first = int(llama.llama_memory_seq_pos_min(self._memory, slot))
        return first, int(llama.llama_memory_seq_pos_max(self._memory, slot))

    def size(self, slot: int, *, part: bool = False) -> int:
        return int(llama.llama_state_seq_get_size_ext(self.pointer, slot, _PART if part else 0))

    def save(self, slot: int, *, part: bool = False) -> State | None:
        """None where there is no memory for it, or llama.cpp cannot."""
        return _save(self.pointer, slot, _PART if part else 0)

    def load(self, slot: int, state: State, *, part: bool = False) -> bool:
        """False: llama.cpp did not take it, and has emptied the sequence."""
        return _load(self.pointer, slot, state, _PART if part else 0)

    # --- Cells ------------------------------------------------------------------------------------------------------

    def grow(self, cells: int) -> None:
        """A larger context with the same sequences, if the machine has the memory; else all stays as it is.

        Both are there for a moment. Logits do not move along: only between two steps.
        """
        wanted = min(self._most, max(cells, 2 * self.n_cells))
        if wanted > self.n_cells:
            self._move_to(wanted)

    def shrink(self, cells: int) -> None:
        """A context of the size that so many cells would have led to, if that is a smaller one."""
        wanted = START_CELLS
        while wanted < cells:
            wanted *= 2
        if self._grows and wanted < self.n_cells:
            self._move_to(wanted)

    def _move_to(self, cells: int) -> None:
        if self._size_of(cells) > self._free():
            return
        other = self._made(cells)
        if other is None:
            return
        if not all(self._move(slot, other) for slot in range(self._sequences)):
            llama.llama_free(other)
            return
        llama.llama_free(self.pointer)
        self.pointer = other
        self._memory = llama.llama_get_memory(other)
        self.n_cells = int(llama.llama_n_ctx(other))

    def _move(self, slot: int, target: Any) -> bool:
        if self.span(slot)[1] < 0:
            return True
        state = self.save(slot)
        return state is not None and _load(target, slot, state, 0)


def _save(context: Any, slot: int, flags: int) -> State | None:
    size = int(llama.llama_state_seq_get_size_ext(context, slot, flags))
    try:
        state = bytearray(size)
    except MemoryError:
        return None
    if not size or int(llama.llama_state_seq_get_data_ext(context, _start(state), size, slot, flags)) != size:
        return None
    return state


def _load(context: Any, slot: int, state: State, flags: int) -> bool:
    return bool(llama.llama_state_seq_set_data_ext(context, _start(state), len(state), slot, flags))


def _start(state: State) -> Any:
    # Not an array type of its own for every size: ctypes keeps those for ever.
    return ctypes.byref(ctypes.c_uint8.from_buffer(state))
