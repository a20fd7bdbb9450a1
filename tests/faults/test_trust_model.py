"""The judge beside a model of it that fits on a page: the same heads and roots are accepted, in
whatever order they are shown, and nothing that is remembered moves backwards.

The model knows who made each message and when; it looks at no signature and no byte. Messages
are honest, older, renewed, expired, equivocating, counted up, mixed, and of all key generations.
"""

import random
from copy import deepcopy
from dataclasses import dataclass, field, replace

import pytest

from sync.head import PUBLISHING, Head, Role
from sync.trust import TrustedState
from sync.verdict import Floors, Refusal
from tests.simulator import DAY, NOW, Simulator

RUNS, STEPS = 24, 60


@dataclass(frozen=True)
class Said:
    """What the model knows of a head: by which generation of keys each part was signed, at which
    version, and a name for what it says. Parts of one head have one `event`."""

    keys: dict[Role, int]
    versions: dict[Role, int]
    names: dict[Role, str]
    events: dict[Role, int]
    signed_at: float
    expires: float


@dataclass
class Model:
    """What an honest node would remember."""

    keys: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(PUBLISHING, 0))
    root: int = 1
    versions: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(PUBLISHING, 0))
    names: dict[Role, str] = field(default_factory=lambda: dict.fromkeys(PUBLISHING, ""))
    signed_at: float = NOW

    def hears(self, said: Said, now: float) -> bool:
        """Whether it is accepted; then it counts."""
        if len(set(said.events.values())) != 1 or said.keys != self.keys:
            return False
        for role in PUBLISHING:
            if said.versions[role] < self.versions[role]:
                return False
            if said.versions[role] == self.versions[role] and self.names[role] not in (
                "",
                said.names[role],
            ):
                return False
        if said.expires <= max(now, self.signed_at, said.signed_at):
            return False
        self.versions, self.names = dict(said.versions), dict(said.names)
        self.signed_at = max(self.signed_at, said.signed_at)
        return True

    def learns(self, number: int, keys: dict[Role, int], at: float) -> bool:
        """Whether root `number` is accepted, which names these generations of keys."""
        if number != self.root + 1:
            return False
        for role in PUBLISHING:
            if keys[role] != self.keys[role]:
                self.versions[role], self.names[role] = 0, ""
                if role == "timestamp":
                    self.signed_at = 0.0
        self.root, self.keys = number, dict(keys)
        self.signed_at = max(self.signed_at, at)
        return True


class Story:
    """One run: a hub and a thief make messages, a node hears any of them at any time."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.hub = Simulator()
        self.keys: dict[Role, int] = dict.fromkeys(PUBLISHING, 0)
        self.roots: list[tuple[bytes, dict[Role, int], float]] = [
            (self.hub.roots[0], dict(self.keys), NOW)
        ]
        self.heads: list[tuple[Head, Said]] = []
        self.made = 0
        self.model = Model()
        self.root, self.floors = self.hub.roots[0], Floors()
        self.now = float(NOW)
        self.accepted = self.refused = 0
        self.publish(self.hub)

    def publish(self, maker: Simulator, *, renew: bool = False) -> None:
        """A head by `maker`, of a new content unless it only renews."""
        self.made += 1
        head = maker.refresh() if renew else maker.publish(f"content {self.made}")
        parts = {"timestamp": maker.timestamp, "snapshot": maker.snapshot, "targets": maker.targets}
        (content,) = maker.targets.targets.values()
        targets = content.hashes["sha256"]
        snapshot = f"{targets} by {self.keys['targets']} at {int(maker.now)}"
        timestamp = f"{snapshot} by {self.keys['snapshot']} for {maker.lifetime_days}"
        said = Said(
            keys=dict(self.keys),
            versions={role: parts[role].version for role in PUBLISHING},
            names={"timestamp": timestamp, "snapshot": snapshot, "targets": targets},
            events=dict.fromkeys(PUBLISHING, self.made),
            signed_at=float(int(maker.now)),
            expires=float(int(maker.now + maker.lifetime_days * DAY)),
        )
        self.heads.append((head, said))

    def make(self) -> None:
        """Something new is said by somebody."""
        match self.chance.choice(("publish", "renew", "rotate", "thief", "twin", "late")):
            case "publish":
                self.publish(self.hub)
            case "renew":
                self.hub.now += self.chance.randint(0, 60) * DAY
                self.publish(self.hub, renew=True)
            case "rotate" if len(self.roots) < 8:
                replaced = [role for role in PUBLISHING if self.chance.random() < 0.4]
                for role in replaced:
                    self.keys[role] += 1
                made = self.hub.rotate(replace=[*replaced, "root"])
                self.roots.append((made, dict(self.keys), float(int(self.hub.now))))
                self.publish(self.hub, renew=True)
            case "thief":
                thief = self.hub.thief()
                up = self.chance.choice((1, 5, 2**31))
                for part in (thief.targets, thief.snapshot, thief.timestamp):
                    part.version += up
                self.publish(thief)
            case "twin":
                twin = self.hub.thief()
                self.publish(twin)
                self.publish(self.hub)
            case _:
                short = self.hub.thief()
                short.lifetime_days = 0.5
                self.publish(short, renew=True)

    def show(self) -> None:
        """The node hears any head there is, or a mixture of two."""
        head, said = self.chance.choice(self.heads)
        if self.chance.random() < 0.2:
            other, told = self.chance.choice(self.heads)
            if other.targets != head.targets:
                said = replace(said, events={**said.events, "targets": told.events["targets"]})
            head = Head(head.channel, head.timestamp, head.snapshot, other.targets)
        state, before = TrustedState(self.root, self.floors), self.floors
        expected = self.model.hears(said, self.now)
        try:
            self.floors = state.judge(head, self.now).floors
            got = True
        except Refusal:
            got = False
        assert got == expected, (said, self.model)
        self.accepted, self.refused = self.accepted + got, self.refused + (not got)
        self.never_back(before, set())

    def learn(self) -> None:
        """The node hears any root there is."""
        number = self.chance.randint(1, len(self.roots))
        data, keys, at = self.roots[number - 1]
        state, before = TrustedState(self.root, self.floors), self.floors
        fallen = {role for role in PUBLISHING if keys[role] != self.model.keys[role]}
        expected = self.model.learns(number, keys, at)
        try:
            state.update_root(data)
            got = True
        except Refusal:
            got = False
        assert got == expected
        if got:
            self.root, self.floors = data, state.floors
            self.never_back(before, fallen)

    def never_back(self, before: Floors, fallen: set[Role]) -> None:
        """Floors only fall with the keys of their role; root versions never."""
        assert self.floors.root >= before.root
        for role in PUBLISHING:
            if role in fallen:
                assert self.floors.version(role) == 0
            else:
                assert self.floors.version(role) >= before.version(role)
        if "timestamp" not in fallen:
            assert self.floors.signed_at >= before.signed_at

    def agrees(self) -> None:
        """What both remember is the same."""
        state = TrustedState(self.root, deepcopy(self.floors))
        assert state.root_version == self.model.root
        assert {role: state.floors.version(role) for role in PUBLISHING} == self.model.versions
        assert state.floors.signed_at == self.model.signed_at


@pytest.mark.fault(6, "in any order of messages")
def test_in_any_order_of_messages_the_judge_accepts_what_the_model_accepts() -> None:
    accepted = refused = 0
    for seed in range(RUNS):
        story = Story(seed)
        for _ in range(STEPS):
            story.chance.choice((story.make, story.show, story.show, story.show, story.learn))()
            if story.chance.random() < 0.1:
                story.now = NOW + story.chance.randint(-4000, 300) * float(DAY)
            story.agrees()
        accepted, refused = accepted + story.accepted, refused + story.refused
    assert min(accepted, refused) > RUNS * STEPS // 20
