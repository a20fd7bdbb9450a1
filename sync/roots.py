"""Roots: the list of keys, made and read. `trust.py` judges it, `keys.py` keeps the files.

* A root names one key for each role that signs heads, and for itself as many as there are, of
  which a threshold must sign. It is signed by the thresholds of the root before and its own.
* What is made is judged as a node would judge it before it is given back: a root that nodes
  refuse is never published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from securesystemslib.signer import CryptoSigner, Key  # type: ignore[attr-defined]
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]

from sync.errors import SettingsError
from sync.head import PUBLISHING, ROLES, Role
from sync.trust import SIGNED_AT, TrustedState
from sync.verdict import Floors

Signer = CryptoSigner

LONG_DAYS = 3650
"""Lifetime of a root."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the next root says otherwise. `publishing`: the new key of each role that gets one;
    `root` and `threshold`: None leaves them; `dropped`: ids of root keys that count no more."""

    publishing: Mapping[Role, Key]
    root: Sequence[Key] | None = None
    threshold: int | None = None
    dropped: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Whose signatures count for one role, and how many are needed."""

    role: Role
    threshold: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootInfo:
    """A root in words. Times in Unix seconds; `signed_at` 0 where it is not said."""

    version: int
    signed_at: int
    expires: float
    roles: tuple[RoleKeys, ...]

    def role(self, role: Role) -> RoleKeys:
        """The keys of one role."""
        return next(one for one in self.roles if one.role == role)


def read(data: bytes) -> RootInfo:
    """What a root says. Raises TrustError when it is none."""
    TrustedState(data, Floors())
    root = Metadata[Root].from_bytes(data).signed
    return RootInfo(
        root.version,
        int(root.unrecognized_fields.get(SIGNED_AT, 0)),
        root.expires.timestamp(),
        tuple(
            RoleKeys(role, root.roles[role].threshold, tuple(sorted(root.roles[role].keyids)))
            for role in ROLES
        ),
    )


def first(
    publishing: Mapping[Role, Key], root: Sequence[CryptoSigner], threshold: int, now: float
) -> bytes:
    """Root version 1, signed by all of `root`. Raises SettingsError for a bad threshold."""
    made = Root(version=1, consistent_snapshot=False)
    change = Change(publishing, [signer.public_key for signer in root], threshold)
    data = _signed(made, change, root, now)
    TrustedState(data, Floors())
    return data


def following(
    previous: bytes, change: Change, signers: Sequence[CryptoSigner], now: float
) -> bytes:
    """The root after `previous` with `change`, signed by those of `signers` that count.

    Raises SettingsError for a bad threshold, TrustError when nodes would not accept it, for
    instance because too few of the old root keys signed.
    """
    state = TrustedState(previous, Floors())
    made = Metadata[Root].from_bytes(previous).signed
    counted = set(made.roles["root"].keyids)
    made.version = state.root_version + 1
    if change.root is not None:
        counted |= {key.keyid for key in change.root}
    known = [signer for signer in signers if signer.public_key.keyid in counted]
    data = _signed(made, change, known, now)
    state.update_root(data)
    return data


def _signed(made: Root, change: Change, signers: Sequence[CryptoSigner], now: float) -> bytes:
    made.expires = datetime.fromtimestamp(int(now), UTC) + timedelta(days=LONG_DAYS)
    made.unrecognized_fields[SIGNED_AT] = int(now)
    for role in PUBLISHING:
        if role in change.publishing:
            _replace(made, role, [change.publishing[role]])
    if change.root is not None:
        _replace(made, "root", change.root)
    for keyid in change.dropped:
        made.revoke_key(keyid, "root")
    threshold = change.threshold or made.roles["root"].threshold
    held = len(made.roles["root"].keyids)
    if not 1 <= threshold <= held:
        raise SettingsError(
            f"{threshold} root keys would have to sign, and there would be {held}",
            hint="give the folders of more root keys (--offline-root), or a lower --threshold",
        )
    made.roles["root"].threshold = threshold
    metadata = Metadata(made)
    for signer in {s.public_key.keyid: s for s in signers}.values():
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def _replace(root: Root, role: Role, keys: Sequence[Key]) -> None:
    for keyid in list(root.roles[role].keyids):
        root.revoke_key(keyid, role)
    for key in keys:
        root.add_key(key, role)
