"""What is said on Kafka: small, exact, and refused when it is anything else."""

import zlib
from pathlib import Path

import pytest

from hub.announcer import fitting
from hub.supplier import QUIET_S
from sync import announcement, want
from sync.announcement import DICTIONARY, MAX_PLAIN_BYTES, MAX_VALUE_BYTES, Announcement
from sync.broker import ANNOUNCEMENTS, ANSWERS, BUNDLES, UP
from sync.canonical import Digest
from sync.errors import ContentError
from sync.head import Head, head_from_bytes
from sync.transport.kafka import TOPICS
from sync.transport.kafka_road import ASK_AGAIN_S
from sync.want import Answer, Want
from tests.sync.test_format import column, section, tables


def golden(root: Path, name: str = "first") -> Head:
    """A head from the vectors."""
    return head_from_bytes(
        (root / "tests" / "vectors" / "head-1" / f"{name}.head.json").read_bytes()
    )


def test_an_announcement_comes_back_as_it_was_and_fits_into_a_third_of_its_limit(
    root: Path,
) -> None:
    made = Announcement(golden(root), 1, (("none", 3), ("ab" * 8, 7)))
    data = announcement.to_bytes(made)
    assert announcement.from_bytes(data) == made
    assert len(data) < MAX_VALUE_BYTES // 3
    assert made.offset(None) == 3
    assert made.offset(Digest("ab" * 32)) == 7
    assert made.offset(Digest("cd" * 32)) is None


def test_the_newer_root_and_then_the_newer_timestamp_is_the_newer_announcement(root: Path) -> None:
    first, second = golden(root, "first"), golden(root, "second")
    assert Announcement(second, 1).age > Announcement(first, 1).age
    assert Announcement(first, 2).age > Announcement(second, 1).age


def test_every_damaged_byte_is_noticed_or_harmless(root: Path) -> None:
    made = Announcement(golden(root), 1)
    data = announcement.to_bytes(made)
    for at in range(len(data)):
        with pytest.raises(ContentError):
            announcement.from_bytes(data[:at])
        with pytest.raises(ContentError):
            announcement.from_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02" + zlib.compress(b"{}"),
        b"\x01" + zlib.compress(b"{}"),
        b"\x01" + zlib.compress(b" " * (MAX_PLAIN_BYTES + 1)),
        b"\x01" + bytes(MAX_VALUE_BYTES),
    ],
)
def test_what_is_no_announcement_is_refused(data: bytes) -> None:
    with pytest.raises(ContentError):
        announcement.from_bytes(data)


def test_bases_that_do_not_fit_are_left_out_the_oldest_first(root: Path) -> None:
    named = [(f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}", n * 7919) for n in range(1, 400)]
    head = golden(root)
    noise = "".join(f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}" for n in range(1, 120))
    large = Head(head.channel, head.timestamp, head.snapshot, head.targets + noise)
    value, count = fitting(large, 1, named[: announcement.MAX_BUNDLES])
    assert len(value) <= MAX_VALUE_BYTES
    assert announcement.from_bytes(value).bundles == tuple(named[:count])
    assert 0 < count < announcement.MAX_BUNDLES
    more = "".join(f"{n * 0xC2B2AE3D27D4EB4F % 2**64:016x}" for n in range(1, 240))
    too_large = Head(head.channel, head.timestamp, head.snapshot, head.targets + noise + more)
    with pytest.raises(ContentError, match="more than"):
        fitting(too_large, 1, named[:3])


def test_kafka_is_as_described(root: Path) -> None:
    text = (root / "sync" / "FORMAT.md").read_text(encoding="utf-8")
    topics, fields = tables(text, "Kafka")
    said = section(text, "Kafka")
    assert {row["topic"]: row["tidied by"] for row in topics} == {
        name: settings["cleanup.policy"] for name, settings in TOPICS.items()
    }
    assert [row["topic"] for row in topics] == [
        *[ANNOUNCEMENTS] * 2, *[BUNDLES] * 3, UP, ANSWERS,
    ]  # fmt: skip
    assert f"at most {MAX_VALUE_BYTES} bytes" in topics[0]["value"]
    assert tuple(sorted(column(fields, "field"))) == tuple(sorted(Announcement.__struct_fields__))
    assert fields[0]["limit"] == str(announcement.MAX_BUNDLES)
    assert all(column(fields, "damage costs"))
    assert f"at most {MAX_PLAIN_BYTES} bytes" in said
    assert dictionary(said) == DICTIONARY


def test_wants_and_answers_are_as_described(root: Path) -> None:
    text = (root / "sync" / "FORMAT.md").read_text(encoding="utf-8")
    wants, answers = tables(text, "Wants")
    said = section(text, "Wants")
    assert set(column(wants, "field")) == set(Want.__struct_fields__)
    assert set(column(answers, "field")) == set(Answer.__struct_fields__)
    assert all(column(wants, "damage costs") + column(answers, "damage costs"))
    assert said.count(f"at most {want.MAX_BYTES} bytes") == 2
    assert want.MAGIC.hex(" ").upper() in said
    assert f"within {QUIET_S:.0f} seconds" in said
    assert f"once in {ASK_AGAIN_S:.0f} seconds" in said
    assert f"piece n of an object that was asked for, {want.OBJECT_CHUNK_BYTES} bytes" in text


def dictionary(said: str) -> bytes:
    """The preset dictionary, as a reader takes it out of FORMAT.md."""
    lines = [line[4:] for line in said.splitlines() if line.startswith("    ")]
    return "".join(lines).encode()
