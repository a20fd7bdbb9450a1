"""FORMAT.md and README.md cannot drift: their tables are read here and compared with the code."""

import re
import zlib
from pathlib import Path
from typing import get_args

import pytest

from models.edition import NEEDED
from models.selftest import Reading, Writing
from models.store import MAX_FILES
from sync import acks
from sync.acks import Acks
from sync.bundle import Offer, envelope, header, table
from sync.bundle.offer import (
    CHUNK_BYTES,
    MAX_BUNDLE_BYTES,
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MAX_OFFER_BYTES,
    MIN_CHUNK_BYTES,
)
from sync.canonical import Digest
from sync.codec import tensor
from sync.inventory import INVENTORY_PATH, MAX_ASSETS, MAX_INVENTORY_BYTES, About
from sync.lesson import CHANNEL_PATH, MAX_CHANNEL_BYTES, MAX_LESSON_BYTES
from sync.manifest import MAX_ENTRIES, MAX_MANIFEST_BYTES, MAX_PATH_CHARS, Entry, Kind
from sync.modelfiles import PRIORITY, model_path
from sync.recipe import (
    MAX_ARCHIVE_BYTES,
    MAX_MEMBERS,
    MAX_PIECES,
    MAX_RECIPE_BYTES,
    Piece,
    Recipe,
)
from sync.recipe import from_bytes as recipe_from_bytes
from sync.transport.directory import Layout, taken
from sync.varint import MAX_BYTES, Cursor

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "sync" / "FORMAT.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What is under `heading`, up to the next one."""
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]


def tables(text: str, heading: str) -> list[Rows]:
    """The tables of one section, a row as a mapping from column to cell."""
    found: list[Rows] = []
    for block in re.findall(r"(?:^\|.*\n)+", section(text, heading), flags=re.M):
        lines = [
            [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in block.splitlines()
        ]
        found.append([dict(zip(lines[0], line, strict=True)) for line in lines[2:]])
    return found


def column(rows: Rows, name: str) -> list[str]:
    return [row[name] for row in rows]


def test_the_manifest_is_as_described(text: str) -> None:
    fields, kinds = tables(text, "Manifest")
    assert tuple(column(fields, "field")) == Entry.__struct_fields__
    assert column(fields, "place") == [str(n) for n in range(len(fields))]
    assert fields[0]["limit"] == f"{MAX_PATH_CHARS} characters"
    assert fields[5]["limit"] == fields[6]["limit"] == f"{table.MAX_TEXT_BYTES} bytes"
    assert tuple(column(kinds, "kind")) == header.KINDS == get_args(Kind)
    assert column(kinds, "code") == [str(n) for n in range(len(kinds))]
    said = section(text, "Manifest")
    assert f"{MAX_ENTRIES} entries and {MAX_MANIFEST_BYTES // 2**20} MiB" in said


def test_lessons_have_the_limits_described(text: str) -> None:
    said = section(text, "Lesson")
    assert f"at most {MAX_LESSON_BYTES // 1024} KiB" in said
    assert f"channel description {MAX_CHANNEL_BYTES // 1024} KiB" in said
    assert f"`{CHANNEL_PATH}`" in said


def test_the_inventory_is_as_described(text: str) -> None:
    [rows] = tables(text, "Inventory")
    assert tuple(column(rows, "field")) == About.__struct_fields__
    assert f"`{INVENTORY_PATH}`" in section(text, "Inventory")
    said = f"at most {MAX_ASSETS} files and {MAX_INVENTORY_BYTES // 2**20} MiB"
    assert said in section(text, "Inventory")
    assert rows[0]["limit"] == f"{MAX_PATH_CHARS} characters"


def test_a_plain_archive_can_be_written_with_the_tables_alone(text: str, root: Path) -> None:
    fields, local, central, end, pieces = tables(text, "Archive")
    assert tuple(column(fields, "field")) == Recipe.__struct_fields__
    assert [row["limit"] for row in fields[2:]] == [str(MAX_MEMBERS), str(MAX_PIECES)]
    assert {name for row in pieces for name in row["fields"].split(", ")} == set(
        Piece.__struct_fields__
    )
    assert f"at most {MAX_RECIPE_BYTES} bytes" in section(text, "Archive")
    assert f"at most {MAX_ARCHIVE_BYTES} bytes" in section(text, "Archive")
    folder = root / "tests" / "vectors" / "archive-1"
    members = {}
    for name in recipe_from_bytes((folder / "plain.json").read_bytes()).members:
        members[name] = (folder / "members" / name).read_bytes()

    def written(rows: Rows, known: dict[str, int]) -> bytes:
        out = b""
        for row in rows:
            name, value, width = row[next(iter(row))], row["value"], int(row["bytes"])
            if value == "as in the local header":
                out += shared
            elif name in known:
                out += known[name].to_bytes(width, "little")
            elif name == "signature":
                out += bytes.fromhex(value)
            elif name == "date":
                out += int(value[:4], 16).to_bytes(width, "little")
            else:
                out += int(value).to_bytes(width, "little")
        return out

    body, directory = b"", b""
    for name, data in members.items():
        path = name.encode()
        flags = 0 if name.isascii() else 0x0800
        sizes = {"packed size": len(data), "size": len(data), "name length": len(path)}
        header = written(local, {"flags": flags, "CRC-32": zlib.crc32(data), **sizes})
        shared = header[4:]
        directory += written(central, {"offset": len(body)}) + path
        body += header + path + data
    counts = dict.fromkeys(("members on this disk", "members"), len(members))
    sizes = {"directory size": len(directory), "directory offset": len(body)}
    whole = body + directory + written(end, counts | sizes)
    assert whole == (folder / "plain.zip").read_bytes()


def test_the_files_of_a_model_are_those_described(text: str) -> None:
    (files,) = tables(text, "Model")
    assert sorted(column(files, "file")) == sorted(NEEDED)
    said = section(text, "Model")
    assert f"priority {PRIORITY}" in said
    assert f"at most {MAX_FILES} files" in said
    assert f"`{model_path('<name>', '<file>')}`" in said
    for kind in (Writing, Reading):
        assert all(f'"{field}"' in said for field in kind.__struct_fields__)


def test_numbers_and_texts_have_the_limits_described(text: str) -> None:
    said = section(text, "Conventions")
    assert MAX_BYTES == 9
    assert "at most nine bytes" in said
    assert f"at most {table.MAX_TEXT_BYTES} bytes" in said


@pytest.mark.parametrize(("name", "based"), [("first", False), ("next", True)])
def test_a_golden_header_can_be_walked_with_the_table_alone(
    text: str, root: Path, name: str, based: bool
) -> None:
    data = (root / "tests" / "vectors" / "bundle-3" / f"{name}.bundle").read_bytes()
    [rows] = tables(text, "Head of the header")
    cursor = Cursor(data, "golden")
    found: dict[str, bytes | int] = {}
    for row in rows:
        if row["bytes"] == "number":
            found[row["field"]] = cursor.number(2**40)
        elif row["bytes"] == "…":
            found[row["field"]] = cursor.take(int(found["frame size"]))
        elif row["bytes"] == "8 or 0":
            found[row["field"]] = cursor.take(8 if based else 0)
        else:
            found[row["field"]] = cursor.take(int(row["bytes"]))
    assert cursor.at == envelope.extent(data[: envelope.PREAMBLE_BYTES])
    assert found["magic"] == envelope.MAGIC == bytes.fromhex("434842")
    assert found["version"] == bytes([envelope.VERSION])
    assert found["flags"] == bytes([envelope.FLAG_BASE if based else 0])
    assert found["check"] == zlib.crc32(data[: cursor.at - 4]).to_bytes(4, "little")
    assert f"at most {envelope.MAX_TABLE_BYTES}" in rows[5]["value"]


def test_groups_have_the_codecs_and_limits_described(text: str) -> None:
    codecs, limits, streams, parts, kinds, modes, long = tables(text, "Groups")
    assert tuple(column(codecs, "codec")) == header.CODECS
    assert column(codecs, "code") == [str(n) for n in range(len(codecs))]
    assert column(limits, "value")[:4] == [
        str(header.MAX_GROUP_BYTES),
        str(header.MAX_WHOLE_BYTES),
        str(header.MAX_OBJECT_BYTES),
        str(header.MIN_PART_BYTES),
    ]
    assert column(streams, "column") == ["counts", "copies", "deletions", "insertions"]
    assert column(long, "field") == ["codec", "size", "old size", "old start", "length", "payload"]
    assert column(parts, "part") == [
        "pieces", "planes", "folded", "gaps", "values", "literals",
    ]  # fmt: skip
    assert column(kinds, "kind") == [str(k) for k in (tensor.LITERAL, tensor.COPY, *tensor.WIDTHS)]
    assert [f"of {w} byte" in k["piece"] for w, k in zip((1, 2, 4), kinds[2:], strict=True)]
    assert f"at most {tensor.MAX_PIECE_BYTES}" in kinds[2]["old bytes"]
    assert parts[0]["bound"].startswith(f"{tensor.MAX_PLAN_BYTES} bytes")
    assert column(modes, "mode") == ["0", f"1-{tensor.SPARSE - 1}", str(tensor.SPARSE)]
    assert f"({tensor.LONG_GAP}: add {tensor.LONG_GAP}" in modes[2]["plane"]


def test_the_offer_is_as_described(text: str) -> None:
    [rows] = tables(text, "Offer")
    assert tuple(column(rows, "field")) == Offer.__struct_fields__
    limits = {row["field"]: row["limit"] for row in rows if row["limit"]}
    assert limits == {
        "size": f"1-{MAX_BUNDLE_BYTES}",
        "chunk_size": f"{MIN_CHUNK_BYTES}-{MAX_CHUNK_BYTES}",
        "chunks": str(MAX_CHUNKS),
    }
    said = section(text, "Offer")
    assert f"at most {MAX_OFFER_BYTES} bytes" in said
    assert f"usual chunk is {CHUNK_BYTES} bytes" in said


def test_a_stick_is_laid_out_as_described(text: str) -> None:
    rows, _ = tables(text, "Directory")
    (said,) = tables(text, "Acknowledgements")
    layout = Layout(Path())
    name, base = Digest("ab" * 32), Digest("cd" * 32)
    paths = {
        "channels/{channel}/head.json": layout.head("escuela"),
        "channels/{channel}/bundles/{base}/{target}.json": layout.offer("escuela", base, name),
        "channels/{channel}/bundles/{base}/{target}.digests": layout.digests("escuela", base, name),
        "roots/{n}.root.json": layout.root(7),
        "bundles/{digest}": layout.bundle(name),
        "objects/{first two digits}/{digest}": layout.objects.path(name),
        "channels/{channel}/acknowledged.json": layout.acks("escuela"),
        "samples/{digest}": layout.block("samples", name),
        "events/{digest}": layout.block("events", name),
        "nodes/{id}/node.toml": layout.enrolment("ocongate"),
        "nodes/{id}/taken": taken(layout.enrolment("ocongate")),
    }
    assert column(rows, "path") == list(paths)
    blanks = {
        "{channel}": "escuela",
        "{base}": base,
        "{target}": name,
        "{n}": "7",
        "{digest}": name,
        "{first two digits}": "ab",
        "{id}": "ocongate",
    }
    assert column(said, "field") == list(Acks.__struct_fields__)
    assert f"at most {acks.MAX_BYTES} bytes" in text
    assert acks.PREFIX.decode().strip() in text
    bounds = f"{acks.MAX_NODES} nodes, {acks.MAX_EPOCHS} epochs, {acks.MAX_RANGES} ranges"
    assert said[-1]["limit"] == bounds
    for path, found in paths.items():
        for blank, value in blanks.items():
            path = path.replace(blank, value)
        assert path == str(found)
    assert layout.offer("escuela", None, name).parent.name == "none"


def test_every_field_says_what_damage_to_it_costs(text: str) -> None:
    for heading in ("Manifest", "Archive", "Head of the header", "Offer"):
        assert all(column(tables(text, heading)[0], "damage costs"))


def test_the_sections_of_the_neighbours_are_there(text: str) -> None:
    for heading in ("Signed metadata", "Sample block", "Event block", "Attack model", "Versions"):
        assert f"\n## {heading}\n" in text


def test_the_vocabulary_has_every_word_of_the_design_once(root: Path) -> None:
    text = (root / "sync" / "README.md").read_text(encoding="utf-8")
    [rows] = tables(text, "Words")
    words = column(rows, "English")
    assert len(words) == len(set(words))
    assert all(row["Spanish"] and row["meaning"] for row in rows)
    assert set(words) >= {
        "channel", "topic", "lesson", "quiz", "library", "class", "teacher", "node", "facility",
        "asset", "object", "manifest", "root", "delta", "bundle", "group", "chunk", "head",
        "spool", "sequence",
    }  # fmt: skip
