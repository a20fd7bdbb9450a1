"""A hub's signing, whole and in memory, with switches for faults.

It is written on the Metadata API alone and shares no code with `sync.signing`, so that the
judge is tried against two makers. Change `timestamp`, `snapshot`, `targets` or `signers` as
a thief would, then take `head()`.
"""

from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, datetime
from typing import TypeVar

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from sync.canonical import Digest, digest
from sync.head import ROLES, Head, Role
from sync.trust import SIGNED_AT, TrustedState
from sync.verdict import Floors

NOW = 1_772_000_000
"""25 February 2026, when the story of each test begins."""

DAY = 86_400
S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def content(name: str) -> Digest:
    """A manifest root that stands for `name`."""
    return digest(name.encode())


class Simulator:
    """One hub with one channel."""

    def __init__(self, channel: str = "escuela", now: float = NOW) -> None:
        self.channel = channel
        self.now = now
        self.lifetime_days = 90.0
        self.signers: dict[Role, list[CryptoSigner]] = {r: [new_signer()] for r in ROLES}
        self.thresholds: dict[Role, int] = dict.fromkeys(ROLES, 1)
        self.roots: list[bytes] = []
        self.seal = True
        """False: head() leaves alone which files name which."""
        self.targets = Targets(version=1)
        self.snapshot = Snapshot(version=1)
        self.timestamp = Timestamp(version=1)
        self.rotate()

    # What an honest hub does

    def publish(self, name: str) -> Head:
        """The next version of the channel, with content `name`."""
        self.targets.version = self.targets.version + 1 if self.targets.targets else 1
        self.put(name)
        return self.refresh()

    def refresh(self) -> Head:
        """A new timestamp (and snapshot) for what is current."""
        self.snapshot.version += 1
        self.timestamp.version += 1
        self.sign_now()
        return self.head()

    def rotate(
        self, replace: Iterable[Role] = (), add: Iterable[Role] = (), old_signs: bool = True
    ) -> bytes:
        """The next root, with new keys for the roles in `replace` and one more for `add`."""
        old = list(self.signers["root"])
        for role in replace:
            self.signers[role] = [new_signer() for _ in self.signers[role]]
        for role in add:
            self.signers[role] = [*self.signers[role], new_signer()]
        root = Root(
            version=len(self.roots) + 1,
            expires=moment(self.now + 3650 * DAY),
            unrecognized_fields={SIGNED_AT: int(self.now)},
        )
        for role in ROLES:
            for signer in self.signers[role]:
                root.add_key(signer.public_key, role)
            root.roles[role].threshold = self.thresholds[role]
        self.roots.append(sign(root, [*(old if old_signs else []), *self.signers["root"]]))
        return self.roots[-1]

    # The parts of it, for dishonest ones

    def put(self, name: str, **changes: object) -> None:
        """Content `name` as the target, without signing."""
        custom = {"version": self.targets.version, "full_size": 1000, **changes}
        file = TargetFile(
            length=500,
            hashes={"sha256": content(name)},
            path=self.channel,
            unrecognized_fields={"custom": custom},
        )
        self.targets.targets = {self.channel: file}

    def sign_now(self) -> None:
        """Sets the times of all three files by the hub's clock."""
        self.timestamp.unrecognized_fields[SIGNED_AT] = int(self.now)
        self.timestamp.expires = moment(self.now + self.lifetime_days * DAY)
        self.snapshot.expires = self.targets.expires = moment(self.now + 3650 * DAY)

    def head(self) -> Head:
        """The three files signed, each naming the next as it is now."""
        targets = sign(self.targets, self.signers["targets"])
        if self.seal:
            self.snapshot.meta = {"targets.json": named(self.targets.version, targets)}
        snapshot = sign(self.snapshot, self.signers["snapshot"])
        if self.seal:
            self.timestamp.snapshot_meta = named(self.snapshot.version, snapshot)
        timestamp = sign(self.timestamp, self.signers["timestamp"])
        return Head(self.channel, timestamp.decode(), snapshot.decode(), targets.decode())

    def thief(self) -> "Simulator":
        """Someone who has copies of all keys and works on alone."""
        other = Simulator(self.channel, self.now)
        other.signers = {role: list(held) for role, held in self.signers.items()}
        other.roots = list(self.roots)
        other.lifetime_days = self.lifetime_days
        for part in ("targets", "snapshot", "timestamp"):
            setattr(other, part, deepcopy(getattr(self, part)))
        return other

    def state(self, floors: Floors | None = None) -> TrustedState:
        """A node that was given the first root."""
        return TrustedState(self.roots[0], floors or Floors())


def new_signer() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


def named(version: int, data: bytes) -> MetaFile:
    return MetaFile.from_data(version, data, ["sha256"])


def sign(part: S, signers: Iterable[CryptoSigner]) -> bytes:
    metadata = Metadata(part)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()
