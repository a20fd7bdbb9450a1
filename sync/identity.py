"""Identity: the key of a node, and the signature that it puts on what it sends up.

* One Ed25519 key a node, made when it is enrolled. The node has the private half in a file
  (PKCS #8, PEM, no password, mode 0600); the hub keeps the public half, 32 bytes in hex.
* A signature says which node a block is from and that nobody changed it. It is put on when
  the block leaves, so that the same block with the same key is the same bytes on every road.
"""

from pathlib import Path
from typing import NewType

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sync import seal
from sync.errors import ContentError, SettingsError
from sync.transport import Sink

PublicKey = NewType("PublicKey", str)
"""64 hexadecimal digits."""

MAX_KEY_BYTES = 4096
CONTEXT = b"chaski block 2\n"
"""Before what is signed: a node's key signs nothing that could be mistaken for something else."""


class NodeKey:
    """The private half of a node's key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def create(cls) -> "NodeKey":
        """A new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> "NodeKey":
        """The key in the file at `path`. Raises SettingsError: missing, or no such key."""
        try:
            with path.open("rb") as file:
                pem = file.read(MAX_KEY_BYTES)
        except OSError as error:
            raise SettingsError(
                f"the node's key {path} cannot be read: {error.strerror}",
                hint="`chaski-hub enrol` writes node.pem beside node.toml; bring all of it",
            ) from error
        return cls.from_pem(pem, str(path))

    @classmethod
    def from_pem(cls, pem: bytes, what: str) -> "NodeKey":
        """The key in `pem`; `what` names it in errors. Raises SettingsError."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _unfit(what) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _unfit(what)
        return cls(key)

    @property
    def pem(self) -> bytes:
        """As it stands in its file."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> PublicKey:
        """The half that the hub keeps."""
        return PublicKey(self._key.public_key().public_bytes_raw().hex())

    def sign(self, block: bytes) -> bytes:
        """A sealed block of version 1 as one of version 2."""
        return seal.with_signature(block, self._key.sign(CONTEXT + seal.signed_part(block)))


def verify(block: bytes, key: PublicKey) -> None:
    """Raises ContentError unless `block` carries the signature of the node with `key`."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(seal.signature_of(block), CONTEXT + seal.signed_part(block))
    except (InvalidSignature, ValueError) as error:
        raise ContentError(
            "the block does not carry the signature of its node",
            hint="enrol the node again and bring it its new files",
        ) from error


class SignedSink:
    """A sink that signs what it hands to `sink`. See `Sink`."""

    def __init__(self, sink: Sink, key: NodeKey) -> None:
        self._sink, self._key = sink, key

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._sink.samples(self._key.sign(block))

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._sink.events(self._key.sign(block))


def _unfit(what: str) -> SettingsError:
    return SettingsError(
        f"the node's key {what} is damaged, locked by a password or no Ed25519 key",
        hint="enrol the node again and bring it its new files",
    )
