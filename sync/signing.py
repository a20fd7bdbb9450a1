"""Publisher: the hub's side of trust. Signs root keys, and heads for `TrustedState` to judge.

* The version of a channel is that of its targets metadata: it only rises, and one version
  never gets two contents. Timestamp and snapshot count by themselves.
* Signing a version again renews its timestamp; what is still good is kept to the byte, so
  that a renewal is a small delta.
* Signing time never goes back: a hub whose clock is far behind its own last head refuses.
* Only `create_root` and `next_root` need the root key; `roots.py` makes what they return.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]  # not in any __all__
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from sync import keys, roots
from sync.errors import ContentError, SettingsError
from sync.head import PUBLISHING, Head, Role, head_from_bytes, head_to_bytes
from sync.manifest import Manifest, to_bytes
from sync.trust import MAX_AHEAD_SECONDS, SIGNED_AT
from sync.verdict import day

LONG_DAYS = roots.LONG_DAYS
"""Lifetime of snapshot and targets; that of the timestamp decides what is fresh."""

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)
Signers = dict[Role, CryptoSigner]


class Publisher:
    """Signs with the keys in one folder (see `keys.py`), read when they are needed."""

    def __init__(self, keys_folder: Path) -> None:
        self._folder = keys_folder

    def create_root(self, now: float) -> bytes:
        """Root version 1, which names all keys in the folder. Needs the root key.

        `now` in Unix seconds. Raises SettingsError when a key is missing.
        """
        return roots.first(self._publics(), [keys.load(self._folder, "root")], 1, now)

    def next_root(self, previous: bytes, old_keys: Path, now: float) -> bytes:
        """The root after `previous`, which names the keys now in the folder.

        `old_keys` is the folder with the root key that signed `previous` (the same folder
        when the root key stays). Raises SettingsError when a key is missing, TrustError
        when nodes would not accept the result.
        """
        new = keys.load(self._folder, "root")
        change = roots.Change(self._publics(), root=[new.public_key], threshold=1)
        return roots.following(previous, change, [keys.load(old_keys, "root"), new], now)

    def _publics(self) -> dict[Role, Key]:
        """The public keys of those who sign heads."""
        return {role: keys.load(self._folder, role).public_key for role in PUBLISHING}

    def sign_head(
        self,
        channel: str,
        version: int,
        manifest: Manifest,
        now: float,
        previous: Head | None,
        lifetime_days: float,
    ) -> Head:
        """The head that says: version `version` (from 1) of `channel` is `manifest`.

        `previous` is the head signed last for this channel; `now` in Unix seconds. Raises
        SettingsError when a key is missing or the clock went back, ContentError when a
        version would go back or get a second content.
        """
        last = _Last.read(previous) if previous else None
        signers = self._signers(PUBLISHING)
        signed_at = _signing_time(now, last, signers["timestamp"])
        fresh = datetime.fromtimestamp(signed_at, UTC) + timedelta(days=lifetime_days)
        desk = _Desk(signers, last, signed_at, fresh)
        targets = desk.targets(channel, version, manifest)
        snapshot, snapshot_version = desk.snapshot(version, targets)
        timestamp = desk.timestamp(snapshot_version, snapshot)
        head = Head(channel, timestamp, snapshot, targets)
        return head_from_bytes(head_to_bytes(head))

    def vouch(self, role: Role, data: bytes) -> dict[str, str]:
        """Signatures of `data`, hexadecimal by key id, for `TrustedState.check`.

        Raises SettingsError when the key is missing.
        """
        signer = keys.load(self._folder, role)
        return {signer.public_key.keyid: signer.sign(data).signature}

    def _signers(self, roles: tuple[Role, ...]) -> Signers:
        return {role: keys.load(self._folder, role) for role in roles}


@dataclass(frozen=True, slots=True)
class _Last:
    """The head signed last, taken apart."""

    head: Head
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]

    @classmethod
    def read(cls, head: Head) -> "_Last":
        """Raises ContentError when the hub's own last head is damaged."""
        try:
            return cls(
                head,
                Metadata[Timestamp].from_bytes(head.timestamp.encode()),
                Metadata[Snapshot].from_bytes(head.snapshot.encode()),
                Metadata[Targets].from_bytes(head.targets.encode()),
            )
        except DeserializationError as error:
            raise ContentError(
                f"the last head of channel {head.channel} is damaged: {error.__cause__ or error}",
                hint="restore it from the hub's backup",
            ) from error

    @property
    def signed_at(self) -> int:
        """Unix seconds."""
        return int(self.timestamp.signed.unrecognized_fields.get(SIGNED_AT, 0))


@dataclass(frozen=True, slots=True)
class _Desk:
    """One act of signing: three files that name each other. `fresh`: until when it counts."""

    signers: Signers
    last: _Last | None
    signed_at: int
    fresh: datetime

    def targets(self, channel: str, version: int, manifest: Manifest) -> str:
        """The channel as the only target."""
        file = TargetFile(
            length=len(to_bytes(manifest)),
            hashes={"sha256": manifest.root},
            path=channel,
            unrecognized_fields={"custom": {"version": version, "full_size": manifest.size}},
        )
        new = Targets(version=version, expires=self._long(), targets={channel: file})
        if self.last is None:
            return self._sign("targets", new)
        old = self.last.targets
        if version < old.signed.version:
            raise ContentError(
                f"channel {channel}: version {version} after {old.signed.version}",
                hint="versions only rise; publish the old content as a new version",
            )
        if version == old.signed.version and old.signed.targets != new.targets:
            raise ContentError(
                f"channel {channel}: version {version} is signed already, with another content",
                hint="publish the new content as the next version",
            )
        kept = version == old.signed.version and self._good("targets", old)
        return self.last.head.targets if kept else self._sign("targets", new)

    def snapshot(self, version: int, targets: str) -> tuple[str, int]:
        """Names the targets; also its own version."""
        meta = {"targets.json": _named(version, targets)}
        if self.last is None:
            return self._sign("snapshot", Snapshot(1, None, self._long(), meta)), 1
        old = self.last.snapshot
        if old.signed.meta == meta and self._good("snapshot", old):
            return self.last.head.snapshot, old.signed.version
        new = Snapshot(old.signed.version + 1, None, self._long(), meta)
        return self._sign("snapshot", new), new.version

    def timestamp(self, version: int, snapshot: str) -> str:
        """Names the snapshot; always new."""
        new = Timestamp(
            version=self.last.timestamp.signed.version + 1 if self.last else 1,
            expires=self.fresh,
            snapshot_meta=_named(version, snapshot),
            unrecognized_fields={SIGNED_AT: self.signed_at},
        )
        return self._sign("timestamp", new)

    def _long(self) -> datetime:
        return max(self.fresh, datetime.fromtimestamp(self.signed_at, UTC) + _LONG)

    def _sign(self, role: Role, part: S) -> str:
        metadata = Metadata(part)
        metadata.sign(self.signers[role])
        return metadata.to_bytes().decode()

    def _good(self, role: Role, old: Metadata[S]) -> bool:
        """True when the old file may be given out again."""
        return old.signed.expires >= self.fresh and _signed_by(self.signers[role], old)


_LONG = timedelta(days=LONG_DAYS)


def _signing_time(now: float, last: _Last | None, signer: CryptoSigner) -> int:
    """Whole Unix seconds, not before the last head. A day of difference is forgiven; what a
    replaced key said does not count."""
    if last is None or not _signed_by(signer, last.timestamp):
        return int(now)
    if now < last.signed_at - MAX_AHEAD_SECONDS:
        raise SettingsError(
            f"this machine's clock says {day(now)}, but its last head was signed on "
            f"{day(last.signed_at)}",
            hint="set the clock; if that head was signed by a wrong clock, replace the "
            "timestamp key",
        )
    return max(int(now), last.signed_at)


def _signed_by(signer: CryptoSigner, metadata: Metadata[S]) -> bool:
    key = signer.public_key
    try:
        key.verify_signature(metadata.signatures[key.keyid], metadata.signed_bytes)
    except (KeyError, UnverifiedSignatureError):
        return False
    return True


def _named(version: int, text: str) -> MetaFile:
    return MetaFile.from_data(version, text.encode(), ["sha256"])
