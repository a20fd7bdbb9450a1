"""Event blocks: what happened on a node, as it travels to the hub. Never who.

* Each kind of event has its own short list of keys, and each key one form (`KEYS`, `FORMS`).
  There is no key for a pupil, a class or a device, so there is no place for one.
* Only `query`, `question`, `note` and `message` are free text, as typed. `tidy` blanks what looks
  like an address, telephone or document number; a name inside a question cannot be
  recognised, so the hub treats these texts as private until a person has read them.
* What pupils did travels as `learned`: counts by lesson and day. The kinds it is made of
  (`lesson_opened`, `lesson_finished`, `quiz_answered`) stay on the node.
* `event` makes one that fits; reading a block checks the same rules and bounds. What does
  not fit is a ContentError.
"""

import re
import unicodedata
from typing import Annotated, Literal, get_args

import msgspec

from sync.canonical import decode, encode
from sync.errors import ContentError
from sync.seal import MAX_TIME, check_name, seal, unseal

EventKind = Literal[
    "search_missed", "question", "feedback", "lesson_opened", "lesson_finished",
    "quiz_answered", "learned", "upload_part", "sync", "model",
]  # fmt: skip
Form = Literal[
    "slug", "word", "language", "number", "choices", "text", "model", "edition", "day", "counts",
    "digest", "part",
]  # fmt: skip

MAGIC = b"CHE1"
MAX_BLOCK_BYTES = 1024 * 1024
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024
MAX_EVENTS = 5000
MAX_TEXT_CHARS = 300

KEYS: dict[EventKind, dict[str, Form]] = {
    "search_missed": {"query": "text", "language": "language"},
    "question": {"question": "text", "language": "language", "answer": "word", "lesson": "slug"},
    "feedback": {
        "question": "text",
        "language": "language",
        "lesson": "slug",
        "verdict": "word",
        "note": "text",
    },
    "lesson_opened": {"lesson": "slug", "language": "language"},
    "lesson_finished": {"lesson": "slug", "language": "language"},
    "quiz_answered": {
        "lesson": "slug",
        "language": "language",
        "right": "number",
        "total": "number",
        "answers": "choices",
        "marks": "choices",
    },
    "learned": {
        "lesson": "slug",
        "language": "language",
        "day": "day",
        "opened": "number",
        "finished": "number",
        "quizzes": "number",
        "right": "number",
        "total": "number",
        "missed": "counts",
    },
    "upload_part": {
        "upload": "digest",
        "number": "number",
        "parts": "number",
        "check": "digest",
        "data": "part",
    },
    "sync": {
        "outcome": "word",
        "from_version": "number",
        "to_version": "number",
        "bytes_down": "number",
        "full_size": "number",
        "seconds": "number",
        "message": "text",
    },
    "model": {
        "model": "model",
        "outcome": "word",
        "why": "word",
        "from_version": "edition",
        "to_version": "edition",
        "seconds": "number",
        "message": "text",
    },
}
"""What an event of each kind may say. Every key may be left out."""

FORMS: dict[Form, str] = {
    "slug": r"[a-z0-9]+(-[a-z0-9]+)*",
    "word": r"[a-z]+(_[a-z]+)*",
    "language": r"es|qu|en",
    "number": r"[0-9]{1,15}(\.[0-9]{1,3})?",
    "choices": r"([0-9]|-)(\.([0-9]|-))*",
    "text": r".+",
    "model": r"[a-z0-9][a-z0-9._-]*",
    "edition": r"shipped|[0-9a-f]{12}",
    "day": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "counts": r"[0-9]{1,6}(\.[0-9]{1,6})*",
    "digest": r"[0-9a-f]{64}",
    "part": r"[A-Za-z0-9+/]+={0,2}",
}
MAX_CHARS: dict[Form, int] = {
    "slug": 80,
    "word": 40,
    "language": 2,
    "number": 19,
    "choices": 200,
    "text": MAX_TEXT_CHARS,
    "model": 64,
    "edition": 12,
    "day": 10,
    "counts": 280,
    "digest": 64,
    "part": 65_536,
}

_FORMS = {form: re.compile(pattern, re.DOTALL) for form, pattern in FORMS.items()}
_ADDRESS = re.compile(r"\S+@\S+")
_LONG_NUMBER = re.compile(r"\+?\d(?:[ .-]?\d){7,}")
BLANK = "…"
"""Stands for what `tidy` took out."""


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happened, `at` Unix milliseconds by the node's clock."""

    kind: EventKind
    at: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]
    data: dict[str, str]


class EventBlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events sealed together. `epoch` names the store and boot in which `seq` counts."""

    node: str
    epoch: str
    seq: int
    events: Annotated[tuple[Event, ...], msgspec.Meta(max_length=MAX_EVENTS)]


def event(kind: EventKind, at: int, data: dict[str, str]) -> Event:
    """An event whose texts are tidied and whose empty values are left out.

    Raises ContentError: a key that this kind does not have, or a value not of its form.
    """
    forms = KEYS[kind]
    tidied = {key: tidy(v) if forms.get(key) == "text" else v for key, v in data.items()}
    made = Event(kind, at, {key: value for key, value in tidied.items() if value})
    _check(made)
    return made


def tidy(text: str) -> str:
    """`text` in one line, cut to `MAX_TEXT_CHARS`, without what looks like an e-mail address
    or a number of eight or more digits (documents, telephones)."""
    whole = unicodedata.normalize("NFC", text[: 4 * MAX_TEXT_CHARS])
    plain = "".join(c if c.isprintable() else " " for c in whole)
    blanked = _LONG_NUMBER.sub(BLANK, _ADDRESS.sub(BLANK, " ".join(plain.split())))
    return blanked[:MAX_TEXT_CHARS].strip()


def encode_events(block: EventBlock) -> bytes:
    """The bytes that travel. Raises ContentError when `block` breaks a rule or a bound."""
    check(block)
    payload = encode(block)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContentError(f"event block: {len(payload)} bytes, more than {MAX_PAYLOAD_BYTES}")
    sealed = seal(MAGIC, payload)
    if len(sealed) > MAX_BLOCK_BYTES:
        raise ContentError(f"event block: {len(sealed)} bytes, more than {MAX_BLOCK_BYTES}")
    return sealed


def decode_events(data: bytes) -> EventBlock:
    """The block that `encode_events` was given. Raises ContentError when it is anything else."""
    payload = unseal(
        MAGIC,
        data,
        limit=MAX_BLOCK_BYTES,
        payload_limit=MAX_PAYLOAD_BYTES,
        what="event block",
    )
    block = decode(payload, EventBlock, limit=MAX_PAYLOAD_BYTES, what="event block")
    check(block)
    return block


def check(block: EventBlock) -> None:
    """Raises ContentError when `block` breaks a rule or a bound."""
    check_name("event block", block.node, block.epoch, block.seq)
    if len(block.events) > MAX_EVENTS:
        raise ContentError(f"event block: {len(block.events)} events, more than {MAX_EVENTS}")
    for one in block.events:
        _check(one)


def _check(one: Event) -> None:
    if one.kind not in get_args(EventKind) or not 0 <= one.at <= MAX_TIME:
        raise ContentError(f"event {one.kind!r:.40} at {one.at}")
    forms = KEYS[one.kind]
    for key, value in one.data.items():
        form = forms.get(key)
        if form is None:
            raise ContentError(f"event {one.kind}: it has no key {key!r:.40}")
        fits = len(value) <= MAX_CHARS[form] and _FORMS[form].fullmatch(value)
        if not fits or (form == "text" and tidy(value) != value):
            raise ContentError(f"event {one.kind}: {key} is no {form}: {value!r:.40}")
