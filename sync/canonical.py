"""Canonical bytes and digests.

* One value has one encoding: JSON, keys sorted, UTF-8, no spaces, no NaN.
* Decoding is typed and bounded; what does not fit is a ContentError.
"""

import hashlib
import re
from typing import Any, NewType, TypeVar

import msgspec

from sync.errors import ContentError

Digest = NewType("Digest", str)
"""Lower-case hexadecimal SHA-256 (64 characters)."""

T = TypeVar("T")

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_encoder = msgspec.json.Encoder(order="sorted")


def digest(data: bytes) -> Digest:
    """SHA-256 of `data`."""
    return Digest(hashlib.sha256(data).hexdigest())


def parse_digest(text: str) -> Digest:
    """`text` as a digest. Raises ContentError when it is not one."""
    if not _HEX.match(text):
        raise ContentError(f"not a SHA-256 digest: {text[:80]!r}")
    return Digest(text)


def encode(value: Any) -> bytes:
    """The canonical bytes of a struct, mapping, sequence or scalar."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T], *, limit: int, what: str) -> T:
    """`data` as a `kind`; `what` names it in errors.

    Raises ContentError when it is longer than `limit` bytes or does not fit the type.
    """
    if len(data) > limit:
        raise ContentError(f"{what}: {len(data)} bytes, more than the {limit} allowed")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ContentError(f"{what}: {error}") from error
