"""Lessons: 1,000 lessons, 20 of them rewritten from the first word to the last.

    python -m tests.bench.lessons [--quick]

* About 4.5 kB each, words drawn at random from 160 of the sample library: nothing of the new
  text is in the old but words, so this is the dearest update for its number of lessons.
* `total` is all that travels (bundle and signed head); `full` the same for a first
  installation; `floor` zstd -19 of the new texts alone.
* Measured elsewhere for such an update: Kolibri 1,103,278, a new ZIM 952,850.
"""

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from sync.bundle import BundleWriter
from sync.codec.raw import compress
from sync.lesson import Lesson, to_bytes
from tests.bench import histories, trees, unpack
from tests.bench.delta import trust_bytes
from tests.bench.report import finish, options, say

LESSONS, QUICK_LESSONS = 1000, 300
REWRITTEN = 20
BLOCKS, WORDS = 10, 56
VOCABULARY = 160


def main(arguments: list[str]) -> None:
    """Measures, prints the report."""
    chosen = options(__doc__ or "").parse_args(arguments)
    finish(measure(QUICK_LESSONS if chosen.quick else LESSONS, REWRITTEN))


def measure(count: int, rewritten: int) -> dict[str, Any]:
    """A channel of `count` lessons, of which `rewritten` are written anew."""
    chance = random.Random("lessons")
    patterns = histories.lessons()
    vocabulary = [
        word.decode() for word in histories.words(to_bytes(lesson) for lesson in patterns)
    ]
    vocabulary = chance.sample(vocabulary, VOCABULARY)
    old = {}
    for number in range(count):
        pattern = msgspec.structs.replace(patterns[number % len(patterns)], id=f"leccion-{number}")
        old[pattern.path] = written(pattern, chance, vocabulary)
    new = dict(old)
    for path in chance.sample(sorted(old), rewritten):
        lesson = msgspec.json.decode(old[path], type=Lesson)
        new[path] = written(lesson, chance, vocabulary)
    with tempfile.TemporaryDirectory(prefix="chaski-bench-") as folder:
        return _measured(old, new, Path(folder))


def written(lesson: Lesson, chance: random.Random, vocabulary: list[str]) -> bytes:
    """`lesson` with another title and body, all of random words."""
    body = tuple(" ".join(chance.choices(vocabulary, k=WORDS)) + "." for _ in range(BLOCKS))
    title = " ".join(chance.choices(vocabulary, k=4))
    return to_bytes(msgspec.structs.replace(lesson, title=title, body=body, quiz=()))


def _measured(old: trees.Tree, new: trees.Tree, folder: Path) -> dict[str, Any]:
    base, target = trees.version(old), trees.version(new)
    read = trees.objects(old, new)
    update = BundleWriter(base, target, read.__getitem__).write()
    first = BundleWriter(None, base, read.__getitem__).write()
    say(f"update {len(update):,}, first {len(first):,}")
    trees.store(folder / "objects", old, new)
    trust = trust_bytes(base, target, folder / "keys")
    proofs = [unpack.run(folder, first, None, base), unpack.run(folder, update, base, target)]
    texts = b"".join(new[path] for path in trees.changed(old, new))
    return {
        "total": len(update) + trust,
        "full": len(first) + trust,
        "floor": len(compress(texts)),
        "lessons": len(new),
        "rewritten": len(trees.changed(old, new)),
        "channel": sum(map(len, new.values())),
        "kolibri": 1_103_278,
        "zim": 952_850,
        "decode_rss_mb": max(proof["rss_mb"] for proof in proofs),
        "verified": all(proof["verified"] for proof in proofs),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
