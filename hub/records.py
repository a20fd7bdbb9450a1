"""Records: what the library keeps of lessons, versions and searches in vain, as values."""

import msgspec

from sync.canonical import Digest
from sync.lesson import Lesson


class Revision(msgspec.Struct, frozen=True):
    """The current revision of a lesson: its number, the candidate it came from, unix seconds."""

    lesson: Lesson
    revision: int
    candidate: int
    at: float


class Version(msgspec.Struct, frozen=True):
    """One published version of a channel; `size` in bytes, `at` in unix seconds."""

    channel: str
    version: int
    root: Digest
    lessons: int
    size: int
    at: float


class Missed(msgspec.Struct, frozen=True):
    """What pupils looked for in vain: how often, on how many nodes, when last."""

    query: str
    language: str
    times: int
    nodes: int
    last: float
