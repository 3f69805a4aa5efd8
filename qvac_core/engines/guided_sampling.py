"""Keeps an answer within a grammar: before each token, those that cannot follow lose their chance.

llguidance says which tokens can follow (a bit each); their logits are changed in place, before the sampler chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from qvac_core.engines.response_grammar import checked, limits
from qvac_core.errors import ModelError, RequestRefused
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import llguidance
    import numpy
else:
    numpy = Lazy("numpy")
    llguidance = Lazy("llguidance")

_SPECIAL = b"\xff"  # how llguidance marks the text of a control token, which is no text of an answer
_LONGEST = 64  # bytes of a token that a text is cut into


class GuideVocabulary:
    """A model's vocabulary as llguidance takes it. Made once per model: it reads every token."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        ends: Sequence[int],
        is_control: Callable[[int], bool],
        tokenize: Callable[[str], list[int]],
    ) -> None:
        """pieces: the bytes of each token. ends: the tokens that end an answer."""
        self._pieces = pieces
        self._tokenize = tokenize
        marked = [_SPECIAL + piece if is_control(token) else piece for token, piece in enumerate(pieces)]
        self._by_bytes = {piece: token for token, piece in enumerate(marked) if 0 < len(piece) <= _LONGEST}
        self.eos_token_id = ends[0]
        self.bos_token_id = None
        self.tokens = marked
        self.special_token_ids: list[int] = []
        self.tokenizer = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(self), n_vocab=len(pieces), eos_token=list(ends), slices=[]
        )

    def __call__(self, text: bytes) -> list[int]:
        """Tokens of exactly this text: llguidance goes by them where only one text can follow.

        The model's own, unless they say something else: vocabularies of the SentencePiece kind put a space before it.
        """
        try:
            tokens = self._tokenize(text.decode("utf-8"))
        except (UnicodeDecodeError, ModelError):
            return self._longest_first(text)
        return tokens if b"".join(self._pieces[token] for token in tokens) == text else self._longest_first(text)

    def _longest_first(self, text: bytes) -> list[int]:
        tokens: list[int] = []
        at = 0
        while at < len(text):
            for end in range(min(len(text), at + _LONGEST), at, -1):
                if (token := self._by_bytes.get(text[at:end])) is not None:
                    tokens.append(token)
                    at = end
                    break
            else:
                return tokens
        return tokens


class _Bytes:
    """A vocabulary of single bytes, for text whose tokens are not known."""

    eos_token_id = 256
    bos_token_id = None
    special_token_ids: ClassVar[list[int]] = []
    tokens: ClassVar[list[bytes]] = [*(bytes([byte]) for byte in range(256)), _SPECIAL + b"</s>"]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


class TextGuide:
    """Watches whether an answer that somebody else makes keeps to its grammar."""

    def __init__(self, grammar: str) -> None:
        """Raises ModelError when the grammar is beyond the limits."""
        tokenizer = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Bytes()), n_vocab=257, eos_token=[256], slices=[]
        )
        self._matcher = checked(llguidance.LLMatcher(tokenizer, grammar, log_level=0, limits=limits()))
        self._matcher.compute_bitmask()
        checked(self._matcher)

    def follows(self, text: str) -> bool:
        """Whether this may come next."""
        return not text or bool(self._matcher.consume_tokens(list(text.encode("utf-8", "replace"))))

    def is_whole(self, text: str) -> bool:
        """Whether this could come next and be all that the grammar asks for. The guide stays where it is."""
        trial = self._matcher.deep_copy()
        return bool(trial.consume_tokens(list(text.encode("utf-8", "replace")))) and bool(trial.is_accepting())


class Guide:
    """One answer's place in its grammar."""

    def __init__(self, vocabulary: GuideVocabulary, grammar: str, so_far: str = "") -> None:
        """so_far: text that already stands at the start of the answer. Raises ModelError when it does not fit."""
        self._size = vocabulary.tokenizer.vocab_size
        self._matcher = checked(llguidance.LLMatcher(vocabulary.tokenizer, grammar, log_level=0, limits=limits()))
        if so_far and not self._matcher.consume_tokens(vocabulary(so_far.encode("utf-8", "replace"))):
            raise RequestRefused("The answer so far does not fit the response schema: ask for it anew.")

    def restrict(self, logits: Any) -> None:
        """Change the logits (float32, one per token) in place. Raises ModelError beyond the limits."""
        bits = self._matcher.compute_bitmask()
        checked(self._matcher)
        allowed = numpy.unpackbits(numpy.frombuffer(bits, numpy.uint8), bitorder="little")
        logits[allowed[: self._size] == 0] = -numpy.inf

    def accept(self, token: int) -> None:
        """Raises ModelError for a token that was not allowed, or beyond the limits."""
        self._matcher.consume_token(token)
        checked(self._matcher)
