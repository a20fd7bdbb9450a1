"""FORMAT.md on signed metadata and on blocks: its tables against the code, and golden files.

The golden files were written once and are never rewritten (see FORMAT.md, Versions).
"""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from sync import columns, events, keys, samples, seal, trust
from sync.head import (
    MAX_HEAD_BYTES,
    MAX_ROLE_BYTES,
    PACKED_TYPE,
    PATTERN,
    ROLES,
    Head,
    head_from_bytes,
)
from sync.samples import ABSENT, LIMITS, STALE, Block, Limits, Series
from sync.trust import Floors, Rule, TrustedState
from tests.simulator import DAY, NOW, content
from tests.sync.test_format import column, section, tables

EPOCH = "0f9a7c3e"


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "sync" / "FORMAT.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def vectors(root: Path) -> Path:
    return root / "tests" / "vectors"


# Signed metadata


def test_a_head_is_as_described(text: str) -> None:
    fields = tables(text, "Signed metadata")[0]
    assert tuple(column(fields, "field")) == Head.__struct_fields__
    assert column(fields, "limit") == ["80 characters", *[f"{MAX_ROLE_BYTES} bytes"] * 3]
    assert all(column(fields, "damage costs"))
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(dict.fromkeys(Head.__struct_fields__, "a" * 81), Head)


def test_trust_has_the_limits_described(text: str) -> None:
    limits = tables(text, "Signed metadata")[1]
    assert [int(value) for value in column(limits, "value")] == [
        MAX_HEAD_BYTES,
        MAX_ROLE_BYTES,
        trust.MAX_ROOT_BYTES,
        trust.MAX_DEPTH,
        trust.MAX_KEYS,
        trust.MAX_ROTATIONS,
        trust.MAX_VERSION,
        trust.MAX_AHEAD_SECONDS,
    ]


def test_every_floor_rule_and_key_is_described(text: str) -> None:
    floors, rules, files, attacks = tables(text, "Signed metadata")[2:]
    assert tuple(column(floors, "floor")) == Floors.__struct_fields__
    assert set(column(rules, "rule")) == set(get_args(Rule))
    assert column(files, "key file") == [keys.path(Path(), role).name for role in ROLES]
    named = {word for cell in column(attacks, "refused by") for word in cell.split(", ")}
    assert named - {"accepted from a thief with the keys; undone by rotation"} <= set(
        get_args(Rule)
    )
    assert f"`{trust.SIGNED_AT}`" in section(text, "Signed metadata")


def test_golden_heads_are_believed_along_golden_roots(vectors: Path) -> None:
    golden = vectors / "head-1"
    state = TrustedState((golden / "1.root.json").read_bytes(), Floors(), channel="escuela")
    first = state.judge(head_from_bytes((golden / "first.head.json").read_bytes()), NOW)
    assert (first.version, first.root, first.signed_at) == (1, content("one"), NOW)
    state = TrustedState(state.root_bytes, first.floors)
    state.update_root((golden / "2.root.json").read_bytes())
    second = state.judge(head_from_bytes((golden / "second.head.json").read_bytes()), NOW)
    assert (second.version, second.root, second.signed_at) == (2, content("two"), NOW + DAY)


# Sample block


def test_the_outside_of_a_block_is_as_described(text: str, vectors: Path) -> None:
    outside = tables(text, "Sample block")[0]
    assert column(outside, "field") == ["magic", "version", "check", "signature", "payload"]
    assert all(column(outside, "damage costs"))
    assert bytes.fromhex("43485331") == samples.MAGIC
    assert [int(n) for n in column(outside, "bytes")[:3]] == [3, 1, seal.CHECK_BYTES]
    data = (vectors / "blocks-1" / "samples.block").read_bytes()
    assert data.startswith(samples.MAGIC)
    assert "`43 48 45`" in section(text, "Event block")
    assert bytes.fromhex("43484531") == events.MAGIC


def test_modes_states_and_clocks_are_as_described(text: str) -> None:
    modes, states, clocks, limits = tables(text, "Sample block")[2:]
    assert column(modes, "mode") == [str(n) for n in range(len(columns.SCALES) + 1)]
    assert str(columns.BITS) == modes[-1]["mode"]
    assert f"plus {columns.GAPS} if values are missing" in section(text, "Sample block")
    assert f"| {columns.STATES} times length plus state" in section(text, "Sample block")
    assert column(states, "state") == [
        str(columns.PRESENT),
        str(columns.MISSING),
        str(columns.ENDED),
    ]
    assert column(states, "bits")[1:] == [f"{columns.bits_of(v):016x}" for v in (ABSENT, STALE)]
    assert tuple(column(clocks, "clock")) == samples.CLOCKS
    assert [int(value) for value in column(limits, "value")] == [
        getattr(LIMITS, field) for field in Limits.__struct_fields__
    ]


def test_a_golden_sample_block_says_what_it_said(vectors: Path) -> None:
    block = samples.decode_block((vectors / "blocks-1" / "samples.block").read_bytes())
    home, lesson = ((("kind", kind),) for kind in ("home", "lesson"))
    free = 3e10
    assert block == Block(
        "ccatca-1",
        EPOCH,
        7,
        "trusted",
        (NOW * 1000, NOW * 1000 + 60_002, NOW * 1000 + 119_999, NOW * 1000 + 180_000),
        (
            Series("chaski_node_requests_total", home, (3.0, 3.0, 5.0, 9.0)),
            Series("chaski_node_requests_total", lesson, (1.0, 1.0, 1.0, 1.0)),
            Series("chaski_node_cpu_celsius", (), (45.5, 45.0, ABSENT, 46.1)),
            Series("chaski_node_battery_volts", (), (12.01, 12.03, STALE, STALE)),
            Series(
                "chaski_node_memory_free_bytes",
                (),
                (free, free - 8192, free - 12288, free - 12288),
            ),
            Series("chaski_node_request_seconds_sum", home, (0.1 + 0.2, 0.1 + 0.2, 1e300, -0.0)),
            Series("chaski_node_empty", (), (ABSENT,) * 4),
        ),
    )


# Event block


def test_kinds_and_forms_of_events_are_as_described(text: str) -> None:
    kinds, forms, limits = tables(text, "Event block")
    assert {row["kind"]: row["keys"] for row in kinds} == {
        kind: ", ".join(f"{key}: {form}" for key, form in keys_of.items())
        for kind, keys_of in events.KEYS.items()
    }
    assert {row["form"]: row["pattern"].replace("\\|", "|") for row in forms} == events.FORMS
    assert {row["form"]: int(row["characters"]) for row in forms} == events.MAX_CHARS
    assert [int(value) for value in column(limits, "value")] == [
        events.MAX_BLOCK_BYTES,
        events.MAX_PAYLOAD_BYTES,
        events.MAX_EVENTS,
        events.MAX_TEXT_CHARS,
    ]


def test_a_golden_event_block_says_what_it_said(vectors: Path) -> None:
    block = events.decode_events((vectors / "blocks-1" / "events.block").read_bytes())
    assert (block.node, block.epoch, block.seq) == ("ccatca-1", EPOCH, 8)
    missed, answered = block.events
    assert (missed.kind, missed.at) == ("search_missed", NOW * 1000)
    assert missed.data == {"query": "eclipse de sol", "language": "es"}
    assert answered.data["answers"] == "1.-.0"


def test_the_pattern_of_packed_heads_is_the_one_described(text: str) -> None:
    assert f"\n```\n{PATTERN.decode()}\n```\n" in text
    assert f"`{PACKED_TYPE}`" in text
