"""Whatever is said to a node, in whatever order, what it believes never moves backwards.

An honest hub publishes, renews and rotates; a thief with copies of its keys, and whoever sits
between, show any head and any root that was ever made, mixed and damaged. The node forgets
everything but what it stored between two messages, as after a power cut.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sync import roots
from sync.head import PUBLISHING, Head, Role
from sync.trust import TrustedState
from sync.verdict import Floors, Refusal, Verdict
from tests.simulator import DAY, NOW, Simulator

picks = st.integers(0, 10**6)


class Trusting(RuleBasedStateMachine):
    """One node, one hub, one thief."""

    @initialize()
    def begin(self) -> None:
        self.hub = Simulator()
        self.thief = self.hub.thief()
        self.heads: list[Head] = [self.hub.publish("one")]
        self.roots = list(self.hub.roots)
        self.root, self.floors = self.hub.roots[0], Floors()
        self.now = float(NOW)
        self.said: dict[int, str] = {}
        self.names = 0

    # What is made.

    @rule()
    def hub_publishes(self) -> None:
        self.names += 1
        self.heads.append(self.hub.publish(f"hub {self.names}"))

    @rule(days=st.integers(0, 40))
    def hub_renews_later(self, days: int) -> None:
        self.hub.now += days * DAY
        self.heads.append(self.hub.refresh())

    @precondition(lambda self: len(self.hub.roots) < 6)
    @rule(roles=st.sets(st.sampled_from(["root", *PUBLISHING])))
    def hub_rotates(self, roles: set[Role]) -> None:
        self.roots.append(self.hub.rotate(replace=sorted(roles)))
        self.heads.append(self.hub.refresh())

    @rule(up=st.sampled_from([0, 0, 1, 1000]))
    def thief_copies_the_keys_and_counts_up(self, up: int) -> None:
        self.thief = self.hub.thief()
        self.names += 1
        for part in (self.thief.targets, self.thief.snapshot, self.thief.timestamp):
            part.version += up
        self.heads.append(self.thief.publish(f"thief {self.names}"))

    # What is shown.

    @rule(pick=picks)
    def any_head_is_shown(self, pick: int) -> None:
        self.show(self.heads[pick % len(self.heads)])

    @rule(picks=st.tuples(picks, picks, picks))
    def a_mixture_is_shown(self, picks: tuple[int, int, int]) -> None:
        one, two, three = (self.heads[n % len(self.heads)] for n in picks)
        self.show(Head(one.channel, one.timestamp, two.snapshot, three.targets))

    @rule(pick=picks, place=picks)
    def a_damaged_head_is_shown(self, pick: int, place: int) -> None:
        whole = self.heads[pick % len(self.heads)]
        at = place % len(whole.timestamp)
        text = whole.timestamp[:at] + "0" + whole.timestamp[at + 1 :]
        self.show(Head(whole.channel, text, whole.snapshot, whole.targets))

    @rule(thief_first=st.booleans())
    def hub_and_thief_say_the_next_version_differently(self, thief_first: bool) -> None:
        self.thief = self.hub.thief()
        self.names += 1
        both = [self.hub.publish(f"hub {self.names}"), self.thief.publish(f"thief {self.names}")]
        self.heads += both
        for head in reversed(both) if thief_first else both:
            self.show(head)

    @rule(pick=picks)
    def any_root_is_shown(self, pick: int) -> None:
        state = TrustedState(self.root, self.floors)
        before = state.floors
        try:
            state.update_root(self.roots[pick % len(self.roots)])
        except Refusal:
            assert (state.root_bytes, state.floors) == (self.root, before)
            return
        replaced = {r for r in PUBLISHING if state.floors.version(r) < before.version(r)}
        assert state.floors.root == before.root + 1
        assert all(state.floors.version(r) == 0 for r in replaced)
        assert replaced == self.replaced(self.root, state.root_bytes) & {
            r for r in PUBLISHING if before.version(r)
        }
        if "timestamp" not in replaced:
            assert state.floors.signed_at >= before.signed_at
        if "targets" in replaced:
            self.said.clear()
        self.root, self.floors = state.root_bytes, state.floors

    @rule(days=st.integers(-4000, 400))
    def the_clock_jumps(self, days: int) -> None:
        self.now = NOW + days * float(DAY)

    # What must hold.

    def show(self, head: Head) -> None:
        before = self.floors
        state = TrustedState(self.root, before)
        try:
            verdict = state.judge(head, self.now)
        except Refusal:
            assert state.floors == TrustedState(self.root, before).floors
            return
        after = verdict.floors
        for role in ("root", *PUBLISHING):
            assert after.version(role) >= before.version(role)
        assert after.signed_at >= before.signed_at
        self.remember(verdict)
        self.floors = after

    def remember(self, verdict: Verdict) -> None:
        """One version never means two things, while its keys are the same."""
        assert self.said.setdefault(verdict.version, verdict.root) == verdict.root
        self.said = {v: r for v, r in self.said.items() if v >= verdict.version}

    @staticmethod
    def replaced(old: bytes, new: bytes) -> set[Role]:
        before, after = roots.read(old), roots.read(new)
        return {r for r in PUBLISHING if not {*before.role(r).keys} & {*after.role(r).keys}}

    @invariant()
    def what_is_stored_can_be_read_again(self) -> None:
        if hasattr(self, "root"):
            assert TrustedState(self.root, self.floors).floors.root >= self.floors.root


Trusting.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_floors_never_move_backwards = Trusting.TestCase
