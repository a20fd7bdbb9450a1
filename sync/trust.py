"""TrustedState: judges heads by the rules of The Update Framework. No files, no network, no
clock of its own.

* Nothing is believed that the root keys did not vouch for: root -> timestamp -> snapshot ->
  targets, each signed by its threshold of Ed25519 keys, each naming the next by hash.
* Versions never go back. The same version is accepted again only with the same meaning.
* Trusted time is the later of the node's clock and the newest signing time accepted, since
  a node may sit in 1970. A head from the future is refused only if the caller vouches for
  the clock (`credible`) and it is not behind what was signed already; otherwise the hub's
  signature is the better clock.
* `judge` changes nothing. What it accepted counts from when the caller has stored
  `Verdict.floors` and made the next state of it; a refused head leaves no trace.
* An expired head is a StaleHead: no news are taken, lessons already held are served on.
* The floor of a role falls only when its keys are replaced, so that nothing signed before
  counts any more. That is how one recovers from a thief who counted versions up.

`Rule` lists what can be refused; FORMAT.md, "Signed metadata", explains each.
"""

import re
from collections.abc import Mapping
from typing import TypeVar, cast

import msgspec
from securesystemslib.signer import Signature  # type: ignore[attr-defined]
from tuf.api.exceptions import LengthOrHashMismatchError, UnsignedMetadataError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # not in any __all__
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError, SerializationError

from sync.canonical import Digest, digest, encode, parse_digest
from sync.errors import ContentError
from sync.head import MAX_ROLE_BYTES, PUBLISHING, Head, Role, head_from_bytes, head_to_bytes
from sync.manifest import MAX_MANIFEST_BYTES
from sync.verdict import LAST_SECOND, Floors, Refusal, Rule, StaleHead, Verdict, day

__all__ = [
    "Floors", "Head", "Refusal", "Rule", "StaleHead", "TrustedState", "Verdict",
    "head_from_bytes", "head_to_bytes",
]  # fmt: skip

SIGNED_AT = "x-signed-at"
"""Field of a timestamp (and of a root) that says when it was signed, in Unix seconds."""

MAX_ROOT_BYTES = 64 * 1024
MAX_DEPTH = 12
MAX_KEYS = 32
MAX_ROTATIONS = 32
MAX_VERSION = 2**53
MAX_AHEAD_SECONDS = 24 * 3600
"""How far a head may be signed ahead of a credible clock."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


class _Envelope(msgspec.Struct):
    """The part of a metadata file that is looked at before it is parsed."""

    class Signed(msgspec.Struct):
        kind: str = msgspec.field(name="_type")
        spec_version: str
        version: int

    signed: Signed


class _Custom(msgspec.Struct, forbid_unknown_fields=True):
    """What we say about a target."""

    version: int
    full_size: int


class TrustedState:
    """The keys and floors of one channel at one node."""

    def __init__(self, root_bytes: bytes, floors: Floors, channel: str | None = None) -> None:
        """Judges by `root_bytes` (trusted as it is) and `floors`. With `channel`, heads of
        other channels of the same hub are refused. Raises Refusal."""
        root = _open("root", Root, root_bytes, MAX_ROOT_BYTES)
        _check_keys(root.signed)
        _verify(root.signed, "root", root)
        if root.signed.version < floors.root:
            raise Refusal(
                "root", "rollback", f"version {root.signed.version} is older than {floors.root}"
            )
        self._root = root.signed
        self._bytes = root_bytes
        self._channel = channel
        self._rotations = 0
        self._floors = _raised(floors, root.signed)

    @property
    def root_version(self) -> int:
        """Version of the root keys that are trusted now."""
        return self._root.version

    @property
    def root_bytes(self) -> bytes:
        """The root metadata that is trusted now."""
        return self._bytes

    @property
    def floors(self) -> Floors:
        """The floors that `judge` goes by, after all `update_root`."""
        return self._floors

    def check(self, role: Role, data: bytes, signatures: Mapping[str, str]) -> None:
        """Raises Refusal unless the keys of `role` signed `data`; hexadecimal, by key id."""
        made = {keyid: Signature(keyid, sig) for keyid, sig in signatures.items()}
        try:
            self._root.verify_delegate(role, data, made)
        except UnsignedMetadataError as error:
            raise Refusal(role, "signature", f"{error}; root {self._root.version}") from error

    def update_root(self, new_root_bytes: bytes) -> None:
        """Moves on to the next root, which both the present and its own keys must sign.

        It may be expired, as long as a later one is not. Raises Refusal; then nothing moved.
        """
        new = _open("root", Root, new_root_bytes, MAX_ROOT_BYTES)
        if self._rotations >= MAX_ROTATIONS:
            raise Refusal("root", "order", f"more than {MAX_ROTATIONS} rotations at once")
        if new.signed.version != self._root.version + 1:
            raise Refusal(
                "root", "order", f"version {new.signed.version} after {self._root.version}"
            )
        _check_keys(new.signed)
        _verify(self._root, "root", new)
        _verify(new.signed, "root", new)
        self._floors = _raised(_fallen(self._floors, self._root, new.signed), new.signed)
        self._root = new.signed
        self._bytes = new_root_bytes
        self._rotations += 1

    def judge(self, head: Head, now: float, *, credible: bool = False) -> Verdict:
        """What `head` says, if it may be believed at `now` (Unix seconds by the node's clock).

        `credible`: the caller knows that the clock is right (a battery-backed or network
        clock), so that a head signed more than a day ahead is refused. Raises Refusal, or
        StaleHead when nothing but its age speaks against it.
        """
        timestamp, snapshot, targets = self._chain(head)
        file, custom = self._target(head, targets.signed)
        floors = self._moved(timestamp, snapshot, targets, _meaning(file))
        self._check_time(now, credible, timestamp.signed, snapshot.signed, targets.signed)
        return Verdict(
            channel=file.path,
            version=custom.version,
            root=parse_digest(file.hashes["sha256"]),
            manifest_size=file.length,
            full_size=custom.full_size,
            signed_at=float(_signed_at(timestamp.signed)),
            expires=timestamp.signed.expires.timestamp(),
            floors=floors,
        )

    def _chain(
        self, head: Head
    ) -> tuple[Metadata[Timestamp], Metadata[Snapshot], Metadata[Targets]]:
        """The three files, each signed, and named by the one before."""
        timestamp = self._role("timestamp", Timestamp, head.timestamp)
        named = timestamp.signed.snapshot_meta
        _check_named("snapshot", named, head.snapshot)
        snapshot = self._role("snapshot", Snapshot, head.snapshot)
        _check_version("snapshot", named, snapshot.signed)
        meta = snapshot.signed.meta
        if set(meta) != {"targets.json"}:
            raise Refusal("snapshot", "format", f"names {sorted(meta)[:3]}, not targets.json only")
        named = meta["targets.json"]
        _check_named("targets", named, head.targets)
        targets = self._role("targets", Targets, head.targets)
        _check_version("targets", named, targets.signed)
        return timestamp, snapshot, targets

    def _role(self, role: Role, kind: type[S], text: str) -> Metadata[S]:
        """One metadata file, signed as it must be and not older than its floor."""
        metadata = _open(role, kind, text.encode("utf-8", "surrogatepass"), MAX_ROLE_BYTES)
        _verify(self._root, role, metadata)
        floor = self._floors.version(role)
        if metadata.signed.version < floor:
            raise Refusal(
                role,
                "rollback",
                f"version {metadata.signed.version} is older than {floor}, accepted before",
            )
        return metadata

    def _check_time(
        self,
        now: float,
        credible: bool,
        timestamp: Timestamp,
        snapshot: Snapshot,
        targets: Targets,
    ) -> None:
        """Neither from the future nor expired; the root keys may not be expired either."""
        signed_at = _signed_at(timestamp)
        trusted = max(now, self._floors.signed_at)
        if credible and now == trusted and signed_at > now + MAX_AHEAD_SECONDS:
            raise Refusal("timestamp", "future", f"signed on {day(signed_at)}, it is {day(now)}")
        trusted = max(trusted, signed_at)
        for part in (self._root, timestamp, snapshot, targets):
            if part.expires.timestamp() <= trusted:
                raise StaleHead(cast(Role, part.type), part.expires.timestamp(), trusted)

    def _target(self, head: Head, targets: Targets) -> tuple[TargetFile, _Custom]:
        """The one target, which is the channel."""
        wanted = self._channel or head.channel
        if (
            set(targets.targets) != {wanted}
            or head.channel != wanted
            or targets.delegations is not None
        ):
            named = sorted(targets.targets)[:3]
            raise Refusal("targets", "channel", f"is about {named}, not about {wanted!r} alone")
        file = targets.targets[wanted]
        try:
            custom = msgspec.convert(file.custom, _Custom)
            parse_digest(file.hashes.get("sha256", ""))
        except (msgspec.ValidationError, ContentError) as error:
            raise Refusal("targets", "format", f"{wanted}: {error}") from error
        if custom.version != targets.version or custom.full_size < 0:
            raise Refusal("targets", "format", f"{wanted}: channel version {custom.version}")
        if type(file.length) is not int:
            raise Refusal("targets", "format", f"{wanted}: a length of {file.length!r:.20}")
        if file.length > MAX_MANIFEST_BYTES:
            raise Refusal("targets", "size", f"{wanted}: a manifest of {file.length} bytes")
        return file, custom

    def _moved(
        self,
        timestamp: Metadata[Timestamp],
        snapshot: Metadata[Snapshot],
        targets: Metadata[Targets],
        meaning: Digest,
    ) -> Floors:
        """The floors after this head. The same version must mean what it meant."""
        seen = (digest(timestamp.signed_bytes), digest(snapshot.signed_bytes), meaning)
        moved = Floors(
            root=self._root.version,
            timestamp=timestamp.signed.version,
            snapshot=snapshot.signed.version,
            targets=targets.signed.version,
            signed_at=max(self._floors.signed_at, _signed_at(timestamp.signed)),
            seen=".".join(seen),
        )
        for role in PUBLISHING:
            same = moved.version(role) == self._floors.version(role)
            if same and self._floors.digest(role) not in ("", moved.digest(role)):
                raise Refusal(
                    role,
                    "equivocation",
                    f"version {moved.version(role)} was accepted with another content",
                )
        return moved


def _open(role: Role, kind: type[S], data: bytes, limit: int) -> Metadata[S]:
    """Metadata of `kind`, bounded in size and depth before it is parsed."""
    if len(data) > limit:
        raise Refusal(role, "size", f"{len(data)} bytes, more than the {limit} allowed")
    if _depth(data) > MAX_DEPTH:
        raise Refusal(role, "size", f"nested more than {MAX_DEPTH} deep")
    try:
        outer = msgspec.json.decode(data, type=_Envelope).signed
        if outer.kind != role:
            raise Refusal(role, "format", f"this is {outer.kind[:20]!r} metadata")
        if outer.spec_version.split(".")[0] != "1":
            raise Refusal(role, "spec", f"version {outer.spec_version[:20]!r} of the rules")
        if not 1 <= outer.version <= MAX_VERSION:
            raise Refusal(role, "format", f"version {outer.version}")
        return Metadata[S].from_bytes(data)
    except (msgspec.DecodeError, UnicodeDecodeError, DeserializationError) as error:
        raise Refusal(role, "format", str(error.__cause__ or error)[:200]) from error


def _depth(data: bytes) -> int:
    """How deep brackets are nested in JSON text."""
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", data):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _verify(root: Root, role: Role, metadata: Metadata[S]) -> None:
    """Raises Refusal unless `root` finds the threshold of its `role` keys on `metadata`."""
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        raise Refusal(role, "signature", f"{error}; root version {root.version}") from error
    except SerializationError as error:
        raise Refusal(role, "format", "holds what has no canonical form") from error


def _check_keys(root: Root) -> None:
    """A root of few, different Ed25519 keys, enough of them for each threshold."""
    publics = set()
    for key in root.keys.values():
        if (key.keytype, key.scheme) != ("ed25519", "ed25519"):
            raise Refusal("root", "keys", f"a key of kind {key.keytype[:20]!r}")
        try:
            publics.add(bytes.fromhex(key.keyval["public"]))
        except ValueError as error:
            raise Refusal("root", "keys", "a key that is not hexadecimal") from error
    if len(root.keys) > MAX_KEYS or len(publics) != len(root.keys):
        raise Refusal("root", "keys", f"more than {MAX_KEYS} keys, or one under two names")
    for name, role in root.roles.items():
        if type(role.threshold) is not int or len(root.keys.keys() & role.keyids) < role.threshold:
            raise Refusal("root", "keys", f"fewer {name} keys than their threshold")


def _check_named(role: Role, meta: MetaFile, text: str) -> None:
    """The text of `role` is the one that `meta` names by length and SHA-256."""
    if meta.length is None or set(meta.hashes or ()) != {"sha256"}:
        raise Refusal(role, "format", "is not named by length and SHA-256")
    try:
        meta.verify_length_and_hashes(text.encode("utf-8", "surrogatepass"))
    except LengthOrHashMismatchError as error:
        raise Refusal(role, "mismatch", str(error)) from error


def _check_version(role: Role, meta: MetaFile, part: Snapshot | Targets) -> None:
    if meta.version != part.version:
        raise Refusal(role, "mismatch", f"version {part.version}, named {meta.version}")


def _signed_at(part: Timestamp) -> int:
    """When it says it was signed: a whole second before it expires."""
    value = part.unrecognized_fields.get(SIGNED_AT)
    if type(value) is not int or not 0 < value < part.expires.timestamp():
        raise Refusal("timestamp", "format", f"{SIGNED_AT} is {value!r:.40}")
    return value


def _raised(floors: Floors, root: Root) -> Floors:
    """`floors` under `root`; the root keys may say what time it was, too."""
    value = root.unrecognized_fields.get(SIGNED_AT, 0)
    if type(value) is not int or not 0 <= value <= LAST_SECOND:
        raise Refusal("root", "format", f"{SIGNED_AT} is {value!r:.40}")
    return msgspec.structs.replace(
        floors, root=root.version, signed_at=max(floors.signed_at, float(value))
    )


def _fallen(floors: Floors, old: Root, new: Root) -> Floors:
    """`floors` without those roles for which nothing signed under `old` counts under `new`."""

    def replaced(role: Role) -> bool:
        kept = set(old.roles[role].keyids) & set(new.roles[role].keyids)
        return len(kept) < new.roles[role].threshold

    return floors.without([role for role in PUBLISHING if replaced(role)])


def _meaning(file: TargetFile) -> Digest:
    return digest(encode([file.path, file.to_dict()]))
