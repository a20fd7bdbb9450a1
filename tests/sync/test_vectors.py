"""Golden bundles: files of format 2 that every later program must still read.

They were written once by this program and are never rewritten (see FORMAT.md, Versions).
"""

from pathlib import Path

import pytest

from sync import manifest as manifests
from sync.bundle import BundleReader, offer_from_bytes, offer_to_bytes
from sync.canonical import Digest, digest
from sync.journal import Journal
from sync.manifest import Manifest

ROOTS = {
    "base": "a4776b21b1ae77274621de74a1392b2dcf45eb5552f96a730abde87742108859",
    "target": "7632bc434976caeb8fac1838b9fc6378316703ac1ac69cca5092208c8960a82c",
}


@pytest.fixture
def golden(root: Path) -> Path:
    return root / "tests" / "vectors" / "bundle-3"


def version(golden: Path, name: str) -> Manifest:
    return manifests.from_bytes((golden / f"{name}.manifest.json").read_bytes())


@pytest.mark.parametrize("name", ["base", "target"])
def test_a_golden_manifest_has_its_root_and_its_bytes(golden: Path, name: str) -> None:
    assert version(golden, name).root == ROOTS[name]
    assert (
        manifests.to_bytes(version(golden, name)) == (golden / f"{name}.manifest.json").read_bytes()
    )


@pytest.mark.parametrize(
    ("name", "base", "target", "codecs"),
    [("first", None, "base", ["raw"]), ("next", "base", "target", ["edit", "zpatch"])],
)
def test_a_golden_bundle_leads_to_its_target(
    golden: Path, name: str, base: str | None, target: str, codecs: list[str]
) -> None:
    def read(wanted: Digest) -> bytes:
        return (golden / "objects" / wanted).read_bytes()

    reader = BundleReader(golden / f"{name}.bundle", version(golden, base) if base else None)
    for entry, data in reader.objects(read):
        assert data == read(entry.hash)
    assert reader.target_manifest() == version(golden, target)
    assert [group.codec for group in reader.header.groups] == codecs


def test_the_golden_bundle_tells_every_kind_of_difference(golden: Path) -> None:
    header = BundleReader(golden / "next.bundle", version(golden, "base")).header
    bases = {o.label.path: o.base and o.base.path for o in header.objects()}
    assert bases == {
        "lessons/leccion-000.es.json": "lessons/leccion-000.es.json",
        "lessons/nueva.qu.json": None,
        "foto.bin": "foto.bin",
    }
    moved, twice = header.references
    assert (moved.label.path, twice.label.path) == (
        "lessons/movida.es.json",
        "lessons/otra-vez.es.json",
    )
    assert twice.source == 1
    assert [e.path for e in header.removed] == [
        "lessons/leccion-002.es.json",
        "lessons/leccion-003.es.json",
    ]


def test_the_golden_offer_is_of_the_golden_bundle(golden: Path, tmp_path: Path) -> None:
    text = (golden / "next.offer.json").read_bytes()
    data = (golden / "next.bundle").read_bytes()
    made = offer_from_bytes(text)
    assert offer_to_bytes(made) == text
    assert made.bundle == digest(data)
    assert (made.base, made.target) == (ROOTS["base"], ROOTS["target"])
    download = Journal(tmp_path).open(made)
    download.feed(0, data)
    assert download.complete().read_bytes() == data


def test_the_golden_model_leads_to_its_target(root: Path) -> None:
    """Codec tensor: a copy, differences of 1, 2 and 4 bytes, folded and sparse, a literal."""
    golden = root / "tests" / "vectors" / "bundle-4"
    base = version(golden, "base")

    def read(wanted: Digest) -> bytes:
        return (golden / "objects" / wanted).read_bytes()

    reader = BundleReader(golden / "model.bundle", base)
    assert [data for _, data in reader.objects(read)] == [
        read(entry.hash) for entry in version(golden, "target").entries
    ]
    assert reader.target_manifest() == version(golden, "target")
    assert [group.codec for group in reader.header.groups] == ["tensor"]


def test_the_golden_long_object_leads_to_its_target(root: Path) -> None:
    """Codec parts: two of them, each told from another range of the base."""
    golden = root / "tests" / "vectors" / "bundle-5"
    base, target = version(golden, "base"), version(golden, "target")

    def read(wanted: Digest) -> bytes:
        return (golden / "objects" / wanted).read_bytes()

    reader = BundleReader(golden / "long.bundle", base)
    [(entry, data)] = reader.objects(read)
    assert (entry,) == target.entries
    assert data == read(entry.hash)
    assert reader.target_manifest() == target
    assert [group.codec for group in reader.header.groups] == ["parts"]
