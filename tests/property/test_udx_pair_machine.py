"""Two encrypted streams over a network that hypothesis plays: it loses, repeats, reorders and delays what it likes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.simulation.secret_link import SecretLink

sides = st.integers(0, 1)
places = st.integers(0, 400)
MAX_WRITES = 12


class PairMachine(RuleBasedStateMachine):
    """Whatever happens on the way: what arrives is a prefix of what was written, and once the network is good, all."""

    def __init__(self) -> None:
        super().__init__()
        self.link = SecretLink()
        self.writes = 0

    @rule(side=sides, size=st.sampled_from([0, 1, 100, 1132, 1133, 20_000]))
    def write(self, side: int, size: int) -> None:
        if self.writes < MAX_WRITES:
            self.writes += 1
            self.link.sides[side].write(bytes([self.writes]) * size, self.link.now)
            self.link.flush()

    @rule(to=sides, at=places, count=st.integers(1, 40))
    def deliver(self, to: int, at: int, count: int) -> None:
        self.link.deliver(to, at, count)

    @rule(count=st.integers(1, 40))
    def deliver_in_order(self, count: int) -> None:
        for to in (0, 1):
            self.link.deliver(to, 0, count)

    @rule(to=sides, at=places)
    def duplicate(self, to: int, at: int) -> None:
        self.link.deliver(to, at, 3, keep=True)

    @rule(to=sides, at=places, count=st.integers(1, 20))
    def lose(self, to: int, at: int, count: int) -> None:
        self.link.drop(to, at, count)

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.3, 1.0, 2.5]))
    def wait(self, seconds: float) -> None:
        self.link.wait(seconds)

    @rule(side=sides)
    def end(self, side: int) -> None:
        self.link.sides[side].end(self.link.now)
        self.link.flush()

    @invariant()
    def holds(self) -> None:
        self.link.check()

    def teardown(self) -> None:
        self.link.heal()
        self.link.check_end()


TestPairMachine = PairMachine.TestCase
TestPairMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class ForgedMachine(PairMachine):
    """The same with somebody on the path who changes bits: nothing false ever arrives."""

    @rule(to=sides, at=places, position=st.integers(0, 1500), bit=st.integers(0, 7))
    def forge(self, to: int, at: int, position: int, bit: int) -> None:
        self.link.corrupt(to, at, position, bit)


TestForgedMachine = ForgedMachine.TestCase
TestForgedMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
