"""Events say what happened and never who."""

import contextlib
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.canonical import encode
from sync.errors import ContentError
from sync.events import (
    FORMS,
    KEYS,
    MAGIC,
    MAX_CHARS,
    MAX_EVENTS,
    MAX_PAYLOAD_BYTES,
    MAX_TEXT_CHARS,
    Event,
    EventBlock,
    EventKind,
    Form,
    decode_events,
    encode_events,
    event,
    tidy,
)
from sync.seal import seal

AT = 1_772_000_000_000
VALUES: dict[Form, list[str]] = {
    "slug": ["papas-nativas", "suma"],
    "word": ["lesson_only", "yes"],
    "language": ["es", "qu"],
    "number": ["0", "12.345"],
    "choices": ["1.-.0", "-"],
    "text": ["¿Por qué la papa se congela?", "Imaraykutaq"],
    "model": ["tutor-es-small", "gpt2.v2"],
    "edition": ["0123456789ab", "shipped"],
    "day": ["2026-11-21"],
    "counts": ["0", "3.0.12"],
    "digest": ["0123456789abcdef" * 4],
    "part": ["aGk=", "YWFh"],
}


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind: EventKind = draw(st.sampled_from(get_args(EventKind)))
    keys = draw(st.sets(st.sampled_from(sorted(KEYS[kind]))))
    data = {key: draw(st.sampled_from(VALUES[KEYS[kind][key]])) for key in sorted(keys)}
    return event(kind, draw(st.integers(0, AT)), data)


BLOCKS = st.builds(
    EventBlock,
    node=st.sampled_from(["ccatca-1", "n"]),
    epoch=st.sampled_from(["0f9a7c3e", "E-1"]),
    seq=st.integers(0, 2**53 - 1),
    events=st.lists(events(), max_size=6).map(tuple),
)
ONE = EventBlock("n", "e", 1, (event("search_missed", AT, {"query": "eclipse"}),))


@given(BLOCKS)
def test_a_block_comes_back_as_it_was(block: EventBlock) -> None:
    assert decode_events(encode_events(block)) == block


def test_a_day_of_a_school_is_a_few_kilobytes() -> None:
    opened = [
        event("lesson_opened", AT + i * 20_000, {"lesson": f"leccion-{i % 40}", "language": "es"})
        for i in range(1000)
    ]
    assert len(encode_events(EventBlock("n", "e", 1, tuple(opened)))) < 8_000


def test_there_is_no_key_for_a_person_in_any_kind() -> None:
    allowed = {key for keys in KEYS.values() for key in keys}
    assert allowed == {
        "query", "question", "message", "language", "lesson", "answer", "verdict", "right",
        "total", "answers", "outcome", "from_version", "to_version", "bytes_down", "full_size",
        "seconds", "model", "why", "note", "marks", "day", "opened", "finished", "quizzes",
        "missed", "upload", "number", "parts", "check", "data",
    }  # fmt: skip
    for kind in get_args(EventKind):
        with pytest.raises(ContentError, match="it has no key 'pupil'"):
            event(kind, AT, {"pupil": "María Quispe"})


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("lesson_opened", {"lesson": "María Quispe"}),
        ("lesson_opened", {"language": "fr"}),
        ("lesson_opened", {"query": "papa"}),
        ("quiz_answered", {"right": "three"}),
        ("quiz_answered", {"answers": "1.María"}),
        ("quiz_answered", {"total": "1" * 16}),
        ("feedback", {"verdict": "Yes!"}),
        ("feedback", {"lesson": "a" * 81}),
        ("feedback", {"lesson": "suma\n"}),
    ],
)
def test_a_value_not_of_its_form_is_refused(kind: EventKind, data: dict[str, str]) -> None:
    with pytest.raises(ContentError, match=f"event {kind}"):
        event(kind, AT, data)
    forged = msgspec.structs.replace(ONE, events=(Event(kind, AT, data),))
    with pytest.raises(ContentError, match=f"event {kind}"):
        encode_events(forged)
    with pytest.raises(ContentError, match=f"event {kind}"):
        decode_events(seal(MAGIC, encode(forged)))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  qué es\tla\nfotosíntesis  ", "qué es la fotosíntesis"),
        ("llámame al 987654321", "llámame al …"),
        ("mi DNI es 45 678 901", "mi DNI es …"),
        ("escribe a ana@correo.pe por favor", "escribe a … por favor"),
        ("cuánto es 125000 + 30", "cuánto es 125000 + 30"),
        ("en 1821 y 1824", "en 1821 y 1824"),
        ("\u202eabc\x00", "abc"),
        ("x" * 1000, "x" * MAX_TEXT_CHARS),
        ("\ud800", ""),
    ],
)
def test_free_text_is_one_tidy_line(typed: str, kept: str) -> None:
    assert tidy(typed) == kept


@given(st.text(max_size=400) | st.text("1234 @.-a…\n", max_size=60))
def test_tidying_twice_changes_nothing_more(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    made = event("question", AT, {"question": text})
    assert decode_events(encode_events(EventBlock("n", "e", 1, (made,)))).events == (made,)


def test_text_that_was_not_tidied_is_refused() -> None:
    forged = EventBlock("n", "e", 1, (Event("question", AT, {"question": "987654321"}),))
    with pytest.raises(ContentError, match="question is no text"):
        decode_events(seal(MAGIC, encode(forged)))


def test_empty_values_are_left_out() -> None:
    assert event("question", AT, {"question": "\n", "lesson": ""}).data == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"node": "María Quispe"},
        {"node": "a" * 65},
        {"epoch": ""},
        {"epoch": "../x"},
        {"seq": -1},
        {"seq": 2**53},
    ],
)
def test_a_block_with_an_odd_name_is_refused(changes: dict[str, object]) -> None:
    forged = msgspec.structs.replace(ONE, **changes)
    with pytest.raises(ContentError, match="event block"):
        encode_events(forged)
    with pytest.raises(ContentError, match="event block"):
        decode_events(seal(MAGIC, encode(forged)))


def test_too_many_events_are_refused() -> None:
    many = msgspec.structs.replace(ONE, events=ONE.events * (MAX_EVENTS + 1))
    with pytest.raises(ContentError, match="5001 events"):
        encode_events(many)
    with pytest.raises(ContentError, match="event block"):
        decode_events(seal(MAGIC, encode(many)))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(ContentError, match="event block"):
        decode_events(seal(MAGIC, b" " * (MAX_PAYLOAD_BYTES + 1)))


def test_a_later_version_asks_for_a_newer_program() -> None:
    with pytest.raises(ContentError, match="version 3, and only 1 and 2 are known") as caught:
        decode_events(seal(b"CHE3", encode(ONE)))
    assert "install" in caught.value.hint


@pytest.mark.parametrize("payload", [b"", b"null", b"{", b"[" * 100_000, b'{"node":"n"}'])
def test_a_sealed_block_of_something_else_is_refused(payload: bytes) -> None:
    with pytest.raises(ContentError, match="event block"):
        decode_events(seal(MAGIC, payload))


SEALED = encode_events(ONE)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_any_damage_to_a_byte_is_found(place: int, change: int) -> None:
    damaged = bytearray(SEALED)
    damaged[place] ^= change
    with pytest.raises(ContentError):
        decode_events(bytes(damaged))


@given(st.integers(0, len(SEALED) - 1))
def test_a_block_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ContentError):
        decode_events(SEALED[:length])


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(ContentError):
        decode_events(SEALED + b"\0")


@settings(max_examples=200)
@given(st.data())
def test_a_forged_payload_is_refused_or_keeps_every_rule(data: st.DataObject) -> None:
    payload = bytearray(encode(ONE))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ContentError):
        block = decode_events(seal(MAGIC, bytes(payload)))
        assert decode_events(encode_events(block)) == block


def test_every_form_has_a_pattern_and_a_length() -> None:
    assert set(FORMS) == set(MAX_CHARS) == set(get_args(Form))
    assert set(KEYS) == set(get_args(EventKind))
