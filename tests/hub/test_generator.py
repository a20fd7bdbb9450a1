"""Drafts: each with its own recorded seed, in flight together, whole sentences only."""

import pytest

from hub.brief import Brief, slug
from hub.config import GeneratorTable
from hub.generator import Generator, clean, seed, summary
from models import prompts
from tests.hub.fakes import GOOD, FakeEngine

BRIEF = Brief("ciencia", "El cóndor", "primaria-3", "es", ("ave",))


def generator(engine: FakeEngine, slots: int = 2) -> Generator:
    return Generator(engine, GeneratorTable(slots=slots), "CC-BY-4.0")


def test_every_draft_records_the_model_and_a_seed_of_its_own() -> None:
    engine = FakeEngine()
    drafts = generator(engine).generate(BRIEF, 6)
    seeds = [d.lesson.provenance.seed for d in drafts]
    assert len(set(seeds)) == 6
    assert seeds == [sampling.seed for _, sampling in engine.submitted]
    assert {d.lesson.provenance.model for d in drafts} == {"fake-decoder@0123456789ab"}


def test_the_prompt_and_the_sampling_are_those_of_the_settings() -> None:
    engine = FakeEngine()
    generator(engine).generate(BRIEF, 1)
    ((prompt, sampling),) = engine.submitted
    assert prompt == prompts.lesson("El cóndor", "ciencia", "primaria-3", "es")
    assert (sampling.temperature, sampling.top_p) == (0.8, 0.95)


def test_seeds_follow_from_the_brief_and_go_on_counting() -> None:
    first = [seed(BRIEF, n) for n in range(4)]
    assert [seed(BRIEF, n) for n in range(4)] == first
    engine = FakeEngine()
    generator(engine).generate(BRIEF, 2, first=2)
    assert [s.seed for _, s in engine.submitted] == first[2:]
    other = Brief("ciencia", "El zorro", "primaria-3", "es", ("ave",))
    assert seed(other, 0) != first[0]


def test_enough_drafts_are_in_flight_to_fill_the_batch_and_no_more() -> None:
    engine = FakeEngine()
    generator(engine, slots=3).generate(BRIEF, 20)
    assert engine.most_flying == 6
    assert engine.flying == 0


def test_a_failure_cancels_what_is_in_flight() -> None:
    engine = FakeEngine()
    engine.fail_at = 3
    with pytest.raises(RuntimeError):
        generator(engine).generate(BRIEF, 4)
    assert [stream.cancelled for stream in engine.streams] == [True, True]


def test_a_draft_without_text_is_none() -> None:
    engine = FakeEngine(lambda number: GOOD if number == seed(BRIEF, 1) else " \n")
    (draft,) = generator(engine).generate(BRIEF, 3)
    assert draft.lesson.provenance.seed == seed(BRIEF, 1)


def test_a_draft_that_was_cut_off_ends_at_a_sentence() -> None:
    engine = FakeEngine(lambda number: "Vuela alto. Come de todo. Y entonces el", reason="length")
    (draft,) = generator(engine).generate(BRIEF, 1)
    assert draft.lesson.markdown == "Vuela alto. Come de todo."
    assert (draft.reason, draft.tokens) == ("length", 8)


def test_a_draft_is_a_whole_lesson() -> None:
    (draft,) = generator(FakeEngine()).generate(BRIEF, 1)
    lesson = draft.lesson
    assert (lesson.id, lesson.title, len(lesson.body)) == ("el-condor", "El cóndor", 3)
    assert lesson.summary == GOOD.split("\n")[0]
    assert lesson.provenance.approver == ""


def test_cleaning_takes_control_characters_and_keeps_text_without_a_sentence_end() -> None:
    assert clean("a\x00b\ufffd\n\nc", whole=True) == "ab\n\nc"
    assert clean("sin fin", whole=False) == "sin fin"
    assert clean("Dijo «¡ven!». Y lueg", whole=False) == "Dijo «¡ven!»."


def test_a_summary_is_the_first_sentence_and_no_heading() -> None:
    assert summary(["# Título", "El **agua**\nsube. Baja."]) == "El agua sube."
    assert summary(["***"]) == "…"


def test_an_id_has_no_accents_and_is_never_empty() -> None:
    assert slug("¿Qué es un volcán?") == "que-es-un-volcan"
    assert slug("???") == "leccion"
    assert len(slug("palabra " * 30)) <= 60
