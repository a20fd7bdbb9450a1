"""Ranges: what a request for a file that never changes under its tag gets of it. Pure.

* The tag is strong: it is the digest of the bytes.
* RFC 9110 §13.2.2 and §14: If-Match first (412), If-None-Match (304), then Range, which
  If-Range may take back.
* One range at a time; a request for several, or in another unit, gets the whole file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sync.canonical import Digest

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: an HTTP status and, for 200 and 206, the bytes from `start` to `stop`."""

    status: int
    start: int = 0
    stop: int = 0


def tag(name: Digest) -> str:
    """The strong ETag of the bytes called `name`."""
    return f'"{name}"'


def names(header: str, etag: str, *, weak: bool) -> bool:
    """True when a list of entity tags (or `*`) has `etag`; `weak` also accepts W/ forms."""
    tags = [part.strip() for part in header.split(",")]
    return "*" in tags or etag in tags or (weak and f"W/{etag}" in tags)


def judge(headers: Mapping[str, str], etag: str, size: int) -> Answer:
    """What a GET or HEAD with `headers` gets of a file of `size` bytes."""
    if "If-Match" in headers and not names(headers["If-Match"], etag, weak=False):
        return Answer(412)
    if "If-None-Match" in headers and names(headers["If-None-Match"], etag, weak=True):
        return Answer(304)
    whole = Answer(200, 0, size)
    if "Range" not in headers:
        return whole
    # There is no Last-Modified, so a date never matches: the whole file, as the RFC wants.
    if "If-Range" in headers and headers["If-Range"].strip() != etag:
        return whole
    return _slice(headers["Range"], size) or whole


def _slice(header: str, size: int) -> Answer | None:
    match = _RANGE.match(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    return Answer(206, start, stop) if start < stop else Answer(416)
