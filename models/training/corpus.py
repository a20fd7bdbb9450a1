"""The training corpus: documents by source, split by document, nothing held out leaks in.

* A source is one file `NAME.jsonl.zst` of rows `{"split": "train" | "heldout", "text": ...}`.
* A file `NAME.with-exercises.txt.zst` is the same book unfiltered (documents separated by
  the end-of-text mark). It holds the held-out documents too, so every document that shares
  a paragraph of 80 characters or more with a held-out row is dropped.
* Reading is bounded by what the caller's folder holds; this runs on a builder's machine,
  never on a node.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from models import prompts

LEAK_PARAGRAPH_CHARS = 80


@dataclass(frozen=True, slots=True)
class Source:
    """One source's documents, already written the way the model shall see them."""

    name: str
    train: tuple[str, ...]
    heldout: tuple[str, ...]
    unfiltered: tuple[str, ...] = field(default=())


def heading(name: str) -> str:
    """The heading word that opens a document of source `name`; empty for plain prose."""
    if name.startswith("openstax"):
        return prompts.words(language(name)).lesson
    if name.startswith("storybooks"):
        return prompts.words(language(name)).story
    return ""


def language(name: str) -> str:
    """The language code that ends a source's name."""
    return name.rsplit("_", 1)[-1]


def read_sources(folder: Path) -> list[Source]:
    """Every source in `folder`, sorted by name.

    Raises FileNotFoundError when the folder holds no corpus file.
    """
    paths = sorted(folder.glob("*.jsonl.zst"))
    if not paths:
        raise FileNotFoundError(f"no *.jsonl.zst corpus in {folder}; see models/training/README.md")
    return [_read_source(path) for path in paths]


def _read_source(path: Path) -> Source:
    name = path.name.removesuffix(".jsonl.zst")
    rows = [json.loads(line) for line in _text(path).splitlines()]
    word = heading(name)

    def shown(text: str) -> str:
        return prompts.titled(word, text) if word else text

    heldout = [row["text"] for row in rows if row["split"] == "heldout"]
    unfiltered: list[str] = []
    whole = path.with_name(f"{name}.with-exercises.txt.zst")
    if whole.exists():
        documents = [d.strip() for d in _text(whole).split(prompts.END_OF_TEXT)]
        unfiltered = [d for d in without_leaks(documents, heldout) if d]
    return Source(
        name=name,
        train=tuple(shown(row["text"]) for row in rows if row["split"] == "train"),
        heldout=tuple(shown(text) for text in heldout),
        unfiltered=tuple(shown(text) for text in unfiltered),
    )


def without_leaks(documents: list[str], heldout: list[str]) -> Iterator[str]:
    """The documents that share no long paragraph with any held-out text."""
    secret = {p for text in heldout for p in _long_paragraphs(text)}
    return (d for d in documents if secret.isdisjoint(_long_paragraphs(d)))


def _long_paragraphs(text: str) -> set[str]:
    squeezed = (re.sub(r"\W+", " ", p).strip().lower() for p in text.split("\n"))
    return {p for p in squeezed if len(p) >= LEAK_PARAGRAPH_CHARS}


def _text(path: Path) -> str:
    with path.open("rb") as raw:
        reader = zstandard.ZstdDecompressor().stream_reader(raw)
        return io.TextIOWrapper(reader, encoding="utf-8").read()
