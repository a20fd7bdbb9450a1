"""Handing: a lesson that a teacher hands in, from the form to the spool, and what became of it.

* It waits in the spool like everything that goes up, in parts, behind events and figures.
* What does not fit is refused at once, in words: the spool keeps room for figures.
* The same lesson handed in twice is one.
* `published`: the installed library has the lesson. What an editor decided otherwise does not
  come back to the node.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from node.store.lessons import Library
from node.telemetry.clock import Clock
from node.telemetry.spool import Spool, Upload
from sync.canonical import Digest, digest
from sync.events import EventBlock, encode_events, event
from sync.files import reserve
from sync.parcel import Parcel, lesson_id, part_data, parts, to_bytes

State = Literal["waiting", "sent", "received", "refused", "published"]


class Handed(msgspec.Struct, frozen=True):
    """One lesson that was handed in here. `at` in Unix seconds, `size` in bytes."""

    upload: Digest
    title: str
    author: str
    lesson: str
    language: str
    at: float
    size: int
    parts: int
    gone: int
    """Parts that left this node."""
    state: State


class Handing:
    """What was handed in on one node. Safe from any thread."""

    def __init__(
        self, spool: Spool, library: Library, clock: Clock, node: str, folder: Path, keep_free: int
    ) -> None:
        """`keep_free` bytes stay free on the disk of `folder`."""
        self._spool, self._library, self._clock = spool, library, clock
        self._node, self._folder, self._keep_free = node, folder, keep_free

    def hand_in(self, parcel: Parcel) -> Handed:
        """Puts a lesson in the spool, once. Raises SpaceError, ContentError."""
        data = to_bytes(parcel)
        pieces = parts(data)
        reserve(self._folder, 2 * len(data), self._keep_free)
        now = self._clock.now()
        upload = Upload(
            digest(data), parcel.cover.title, parcel.cover.author,
            lesson_id(digest(data), parcel.cover.title), parcel.cover.language, now, len(data),
            len(pieces),
        )  # fmt: skip

        def block(number: int) -> Callable[[str, int], bytes]:
            part = event("upload_part", int(now * 1000), part_data(pieces[number]))
            return lambda epoch, seq: encode_events(EventBlock(self._node, epoch, seq, (part,)))

        self._spool.hand_in(upload, [block(number) for number in range(len(pieces))])
        return next(one for one in self.handed() if one.upload == upload.upload)

    def handed(self) -> list[Handed]:
        """What was handed in here, newest first."""
        return [self._handed(upload) for upload in self._spool.uploads()]

    def _handed(self, upload: Upload) -> Handed:
        return Handed(
            upload.upload, upload.title, upload.author, upload.lesson, upload.language, upload.at,
            upload.size, upload.parts, upload.sent, self._state(upload),
        )  # fmt: skip

    def _state(self, upload: Upload) -> State:
        if upload.language in self._library.languages(upload.lesson):
            return "published"
        if upload.refused:
            return "refused"
        if upload.sent < upload.parts:
            return "waiting"
        return "received" if upload.received == upload.parts else "sent"
