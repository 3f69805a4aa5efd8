"""Drafts without a draft model: what came next the last time the chat was here, verified many tokens at once.

An answer that repeats what stands in its prompt (an edited text, code, a quotation) is foreseen by the n-grams of that
very chat; no other chat's tokens are ever looked at. The drafted tokens stand in the batch behind the chat's own next
token; each is sampled with the chat's sampler in turn, up to the first that is another one, and what stood behind it is
taken back. So the text is that of one token after another, at every temperature.

Whether a draft pays is decided by what steps cost (`step_cost`) and by what became of this chat's drafts before. A
draft of n tokens, each of them right with chance p, brings p + p² + … more tokens and costs n tokens of the batch: n
grows as long as its last token brings more per second than the step without it. That is nothing where the batch is full
anyway, and a lot on a GPU, where a step costs the same for one token and for ten.
"""

from __future__ import annotations

from collections.abc import Sequence

SHORTEST = 3  # tokens that have to be the same before a draft
LONGEST_DRAFT = 15  # tokens; with the chat's own next one a batch of 16
# Chance that a drafted token is right, before a chat has shown it, by how many tokens before it were the same.
_PRIORS = ((16, 0.95), (6, 0.8), (SHORTEST, 0.6), (0, 0.6))
_WEIGHTS = {16: 1 / 8, 6: 1 / 8, SHORTEST: 1 / 4, 0: 1 / 4}  # of the newest drafted token; prose soon does without
_RECOVERY = 1 / 512  # of the way back to the prior, for each token without a draft: what did not pay is tried again
_SKIPPED = 8  # tokens that an edit may have left out
_MISSES = 4  # edits in a row, after which the place is lost


class Speculator:
    """The drafts of one chat: `add` each token of the answer; `look`, `draft` and `judge` for each draft."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._tokens = list(prompt)
        self._indexed = SHORTEST - 1
        self._places: dict[tuple[int, ...], int] = {}  # n-gram -> where it last ended, and another token followed
        self._chances = dict(_PRIORS)
        self._place: int | None = None  # what stands there comes next, if the chat goes on repeating itself
        self._misses = 0
        self._reach = SHORTEST

    def add(self, token: int) -> None:
        self._follow(token)
        self._tokens.append(token)

    def _follow(self, token: int) -> None:
        """To the place behind this token. One that does not stand there is an edit: put in its place, or what stood
        there was left out.
        """
        if self._place is None:
            return
        tokens, place = self._tokens, self._place
        if tokens[place] == token:
            self._place, self._misses = place + 1, 0
            return
        self._misses += 1
        ahead = tokens[place + 1 : place + 1 + _SKIPPED]
        self._place = place + 2 + ahead.index(token) if token in ahead else place + 1
        if self._misses > _MISSES or self._place >= len(tokens):
            self._place = None

    def look(self) -> float:
        """The chance that the next drafted token would be right; 0 where the chat was never here before."""
        self._index()
        place = self._places.get(tuple(self._tokens[-SHORTEST:]))
        if place is not None:
            self._place, self._misses = place, 0
        if self._place is None:
            return 0.0
        same = self._same(self._place)
        self._reach = next(reach for reach, _ in _PRIORS if same >= reach)
        return self._chances[self._reach]

    def _same(self, place: int) -> int:
        """How many tokens before a place are those at the end, as far as it matters."""
        tokens, length, enough = self._tokens, len(self._tokens), _PRIORS[0][0]
        same = 0
        while same < min(enough, place) and tokens[place - 1 - same] == tokens[length - 1 - same]:
            same += 1
        return same

    def draft(self, count: int) -> list[int]:
        """So many tokens, after `look`. It may run on into what it has drafted itself."""
        tokens, draft = self._tokens, list[int]()
        assert self._place is not None
        for at in range(self._place, self._place + count):
            draft.append(tokens[at] if at < len(tokens) else draft[at - len(tokens)])
        return draft

    def judge(self, drafted: int, right: int) -> None:
        """What became of the last draft: the first `right` of its `drafted` tokens were what the model said."""
        chance, weight = self._chances[self._reach], _WEIGHTS[self._reach]
        for _ in range(right):
            chance += weight * (1.0 - chance)
        if right < drafted:
            chance -= weight * chance
        self._chances[self._reach] = chance

    def rest(self) -> None:
        """A token was made without a draft."""
        for reach, prior in _PRIORS:
            self._chances[reach] += _RECOVERY * max(0.0, prior - self._chances[reach])

    def _index(self) -> None:
        # The n-gram at the very end is left out until something follows it.
        for end in range(self._indexed + 1, len(self._tokens)):
            self._places[tuple(self._tokens[end - SHORTEST : end])] = end
        self._indexed = max(self._indexed, len(self._tokens) - 1)


def lengths(chances: Sequence[float], cost: tuple[float, float], most: int, longest: float) -> list[int]:
    """How many tokens to draft for each chat: of all that pay, those first that are likeliest right.

    chances: of each chat in the batch, which has one token of its own there. cost: seconds of a step, and of each token
    in it. most: tokens of all drafts together. longest: seconds that the step may take.
    """
    fixed, per_token = cost
    counts = [0] * len(chances)
    bringing = list(chances)  # what the next token of each chat's draft would bring
    made, seconds = float(len(chances)), fixed + per_token * len(chances)
    while counts and sum(counts) < most and seconds + per_token <= longest:
        best = max(range(len(counts)), key=lambda chat: bringing[chat])
        if bringing[best] <= 0.0 or bringing[best] * seconds <= per_token * made:
            break
        counts[best] += 1
        made += bringing[best]
        seconds += per_token
        bringing[best] *= chances[best] if counts[best] < LONGEST_DRAFT else 0.0
    return counts
