"""Histories: versions made from the sample library, for whoever has no history at hand.

* Deterministic: the same name gives the same trees, whatever the machine.
* They stand for nothing measured: real edits are messier. Use `--data` for figures.
"""

import random
import re
from collections.abc import Iterable
from pathlib import Path

from hub.ingest.files import read_files
from hub.ingest.markdown import read_folder
from hub.stock import Stock
from sync.lesson import Lesson

SAMPLE = Path(__file__).resolve().parents[2] / "hub" / "sample_library"
_EDITED = {"week": 0.02, "quarter": 0.15, "year": 0.5, "restruct": 0.5}
"""Share of the lessons that were edited."""


def sample(name: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The trees before and after the window `name`."""
    before = {path.as_posix(): path.read_bytes() for path in sorted(SAMPLE.rglob("*.md"))}
    before = {path.rsplit("sample_library/", 1)[1]: data for path, data in before.items()}
    chance = random.Random(name)
    vocabulary = words(before.values())
    after: dict[str, bytes] = {}
    for path, data in before.items():
        if name == "restruct":
            path = "biblioteca/" + path.replace(".es.md", "/es.md")
        edited = chance.random() < _EDITED.get(name, 0.1) or not after
        after[path] = reworded(data, chance, vocabulary, 3) if edited else data
    return before, after


def words(texts: Iterable[bytes]) -> list[bytes]:
    """Every word of the texts."""
    return sorted({word for text in texts for word in re.findall(rb"[a-z\x80-\xff]{4,}", text)})


def reworded(data: bytes, chance: random.Random, vocabulary: list[bytes], count: int) -> bytes:
    """`data` with `count` of its longer words exchanged."""
    for _ in range(count):
        found = list(re.finditer(rb"[a-z\x80-\xff]{4,}", data))
        at = chance.choice(found[len(found) // 4 :])
        data = data[: at.start()] + chance.choice(vocabulary) + data[at.end() :]
    return data


def carry_files(stock: Stock) -> None:
    """The files that the sample library's lessons show."""
    for one in read_files(SAMPLE, {topic.id for topic in read_folder(SAMPLE).channel.topics}):
        stock.add(SAMPLE / one.path, one.about, person="Rosa")


def lessons() -> list[Lesson]:
    """The sample library."""
    return list(read_folder(SAMPLE).lessons)
