"""Guest: what a pupil without an account has done, kept in the pupil's own browser.

* The cookie holds the last lesson opened and the best score of each quiz; nothing that tells
  who. It is signed, so that a page never shows what this node did not write.
* A damaged, forged or foreign cookie is an empty one: no error, no page lost.
* Bounded: the newest `MAX_SCORES` scores and `MAX_FINISHED` lessons read to their end, under
  short keys made from the lesson's id.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from sync.errors import SpaceError
from sync.files import atomic_write
from sync.lesson import Language, Slug

COOKIE = "chaski"
MAX_SCORES = 120
MAX_FINISHED = 60
KEY_CHARS = 7
MAX_COOKIE_CHARS = 3800
KEY_BYTES = 32
MAC_BYTES = 12

log = logging.getLogger(__name__)

Small = Annotated[int, msgspec.Meta(ge=0, le=40)]


class Score(msgspec.Struct, frozen=True, array_like=True):
    """The best result of one quiz."""

    right: Small
    total: Small

    @property
    def whole(self) -> bool:
        """True when every answer was right."""
        return 0 < self.total == self.right


class Progress(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one guest has done. A value: `opened` and `scored` make new ones."""

    lesson: Slug | None = None
    language: Language = "es"
    scores: dict[str, Score] = {}
    finished: Annotated[str, msgspec.Meta(max_length=MAX_FINISHED * KEY_CHARS)] = ""
    """The keys of lessons read to their end, joined."""

    def opened(self, lesson: str, language: Language) -> "Progress":
        """After opening a lesson."""
        return msgspec.structs.replace(self, lesson=lesson, language=language)

    def read(self, lesson: str) -> "Progress":
        """After reading a lesson to its end."""
        if self.has_read(lesson):
            return self
        kept = (self.finished + _key(lesson))[-MAX_FINISHED * KEY_CHARS :]
        return msgspec.structs.replace(self, finished=kept)

    def has_read(self, lesson: str) -> bool:
        """True when a lesson was read to its end."""
        held = self.finished
        keys = (held[at : at + KEY_CHARS] for at in range(0, len(held), KEY_CHARS))
        return _key(lesson) in keys

    def scored(self, lesson: str, right: int, total: int) -> "Progress":
        """After a quiz; a better score of before stays."""
        before = self.score(lesson)
        best = max(right, before.right) if before and before.total == total else right
        kept = {key: score for key, score in self.scores.items() if key != _key(lesson)}
        newest = list(kept.items())[-(MAX_SCORES - 1) :]
        scores = dict(newest) | {_key(lesson): Score(best, total)}
        return msgspec.structs.replace(self, scores=scores)

    def score(self, lesson: str) -> Score | None:
        """The best score of a lesson's quiz, if it was taken."""
        return self.scores.get(_key(lesson))


class Guestbook:
    """Writes and reads the cookie with the node's own key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, progress: Progress) -> str:
        """The cookie's value."""
        payload = msgspec.json.encode(progress)
        return f"{_text(payload)}.{_text(self._mac(payload))}"

    def read(self, value: str) -> Progress:
        """The progress in a cookie; an empty one when it is not ours."""
        try:
            payload, mac = (_bytes(part) for part in value[:MAX_COOKIE_CHARS].split("."))
            if not hmac.compare_digest(mac, self._mac(payload)):
                return Progress()
            return msgspec.json.decode(payload, type=Progress)
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            return Progress()

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")[:MAC_BYTES]


def guest_key(folder: Path) -> bytes:
    """The node's key for guests' cookies, made at the first start.

    One that the disk does not take is good until the node ends: then guests begin anew, which
    is less than a portal that does not open. Raises OSError when it cannot be read.
    """
    path = folder / "portal.key"
    try:
        held = path.read_bytes()
    except FileNotFoundError:
        held = b""
    if len(held) != KEY_BYTES:
        held = secrets.token_bytes(KEY_BYTES)
        try:
            atomic_write(path, held, mode=0o600)
        except SpaceError as error:
            log.warning("%s; what guests have read is forgotten at the next start", error)
    return held


def _key(lesson: str) -> str:
    return _text(hashlib.sha256(lesson.encode()).digest()[:5])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
