"""EPUB: bytes of an edited book, taken apart into members, and of its file patched whole.

    python -m tests.bench.epub [--quick] [--data DIR] [--part rb/src] [--windows week,year]

* DIR holds WINDOW-v1.tar and WINDOW-v2.tar; the Markdown files below `--part` are the chapters.
  Without it the sample library's texts, edited a little (see histories.py).
* `total` is all that travels: the bundle (recipe, changed members, manifest) and the signed head.
  `bundle` is that without the head. `patch` is zstd -19 with the old file as dictionary, of the
  same book deflated as other tools write it: what its delta costs elsewhere. `stored`: the same
  of the file that nodes serve. `full`: the bundle of a first installation. `exact`: the bundle
  when the deflated file itself is kept byte by byte.
* Members and recipe are applied by another process, and the file composed from them is compared
  with the one that the hub composed.
"""

import io
import re
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from hub.book import Book, members, stored
from hub.container import Container, take_apart
from sync.archive import checks, compose, members_of, verify
from sync.bundle import BundleWriter
from sync.canonical import Digest, digest
from sync.codec.zpatch import ZpatchCodec
from sync.files import ObjectStore
from sync.lesson import Lesson, Provenance
from sync.manifest import Entry, Manifest, manifest
from sync.recipe import from_bytes, to_bytes
from tests.bench import delta, histories, trees, unpack
from tests.bench.report import finish, options, say
from tests.bench.trees import Tree

PATH = "books/book.epub"
WINDOWS = ("week", "quarter", "year")
PART = "rb/src"


def main(arguments: list[str]) -> None:
    """Measures every window, prints the report."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder of WINDOW-v1.tar and WINDOW-v2.tar")
    parser.add_argument("--part", default=PART, help="folder in the tars whose *.md are chapters")
    parser.add_argument("--windows", default=",".join(WINDOWS), help="which, with commas")
    chosen = parser.parse_args(arguments)
    names = chosen.windows.split(",")[: 1 if chosen.quick else None]
    result: dict[str, Any] = {"windows": {}}
    for name in names:
        if chosen.data:
            pair = [trees.load(chosen.data / f"{name}-v{n}.tar") for n in (1, 2)]
            old, new = (below(tree, chosen.part) for tree in pair)
        else:
            old, new = histories.sample(name)
        result["windows"][name] = measure(old, new)
    finish(result)


def below(tree: Tree, part: str) -> dict[str, bytes]:
    """The Markdown files under `part`."""
    start = part.rstrip("/") + "/"
    return {p: d for p, d in tree.items() if p.startswith(start) and p.endswith(".md")}


def bound(tree: Tree, modified: int) -> dict[str, bytes]:
    """The files of a book whose chapters are the texts of `tree`."""
    by = Provenance("the authors", "MIT or Apache-2.0", "rust-lang/book")
    lessons = []
    for path, data in tree.items():
        text = data.decode("utf-8", "replace").replace("\r\n", "\n")
        body = re.sub(r"\A\+\+\+\n.*?^\+\+\+\n", "", text, flags=re.S | re.M)
        name = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(path).stem.lower()).strip("-")
        title = next((m[1] for m in re.finditer(r"^#+ (.+)$", body, re.M)), name)
        lessons.append(
            Lesson(
                f"{name}-{digest(path.encode())[:4]}", "en", title, "book", "secundaria-5", title,
                (), tuple(body.split("\n\n")), by,
            )
        )  # fmt: skip
    book = Book("bench", "book", "The book", "en", by.license, modified, lessons, {})
    return members(book)


def measure(old: Tree, new: Tree) -> dict[str, Any]:
    """One window."""
    books = [bound(old, 1_789_000_000), bound(new, 1_790_000_000)]
    with tempfile.TemporaryDirectory(prefix="chaski-bench-") as name:
        folder = Path(name)
        store = ObjectStore(folder / "objects")
        base, target = (_version(apart(book, folder, store), store) for book in books)
        kept = [_version(apart(book, folder, store, exact=True), store) for book in books]
        exact = BundleWriter(kept[0], kept[1], store.get).write()
        update = BundleWriter(base, target, store.get).write()
        full = BundleWriter(None, target, store.get).write()
        trust = delta.trust_bytes(base, target, folder / "keys")
        proof = unpack.run(folder, update, base, target)
        file = whole(target, store)
        same = file == stored(books[1]) and whole(kept[1], store) == deflated(books[1])
    zips = [deflated(book) for book in books]
    changed = trees.changed(books[0], books[1])
    say(f"{len(changed)} of {len(books[1])} members changed: {len(update):,} bytes")
    return {
        "total": len(update) + trust,
        "bundle": len(update),
        "members": len(books[1]),
        "changed": len(changed),
        "full": len(full),
        "exact": len(exact),
        "file": len(file),
        "deflated": len(zips[1]),
        "patch": len(ZpatchCodec().encode([zips[0]], [zips[1]])),
        "stored": len(ZpatchCodec().encode([stored(books[0])], [stored(books[1])])),
        "verified": same and proof["verified"],
    }


def whole(version: Manifest, store: ObjectStore) -> bytes:
    """The book as a node composes it."""
    recipe = from_bytes(store.get(version.by_path()[PATH].hash))
    found = members_of(version, PATH)
    archive = compose(recipe, found, checks(recipe, found, store.slice), store.slice)
    verify(recipe, archive)
    return b"".join(archive.read(0, archive.size))


def apart(book: Tree, folder: Path, store: ObjectStore, *, exact: bool = False) -> Container:
    """The book as the hub takes it in."""
    file = folder / "book.epub"
    file.write_bytes(deflated(book))

    def put(pieces: Any, what: str) -> tuple[Digest, int]:
        return store.put_bounded(pieces, 2**25, what)

    return take_apart(file, PATH, put, store.slice, exact=exact)


def deflated(book: Tree) -> bytes:
    """The book as most tools write it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in book.items():
            packed = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            made.writestr(zipfile.ZipInfo(name, (2026, 11, 21, 8, 0, 0)), data, packed)
    return out.getvalue()


def _version(found: Container, store: ObjectStore) -> Manifest:
    data = to_bytes(found.recipe)
    entries = [Entry(PATH, store.put(data), len(data), "archive", 90)]
    for name, member in found.members.items():
        entries.append(Entry(f"{PATH}/{name}", member.hash, member.size, "asset", 90))
    return manifest("banco", entries)


if __name__ == "__main__":
    main(sys.argv[1:])
