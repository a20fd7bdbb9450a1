"""From a brief to the review list, all of it kept."""

import pytest

from hub.brief import Brief
from hub.config import GatesTable, GeneratorTable, RankerTable, ReviewTable
from hub.demand import demands
from hub.drafting import Drafting
from hub.gates import Blocklist, Gates
from hub.generator import Generator, seed
from hub.library import Library
from hub.ranker import Ranker
from hub.review import Review
from sync.lesson import blocks
from tests.hub.fakes import GOOD, Clock, FakeEncoder, FakeEngine, FakeLanguages, a_lesson

BRIEF = Brief("matematica", "El cóndor", "primaria-3", "es", ("ave",))


def drafting(library: Library, engine: FakeEngine, encoder: FakeEncoder | None = None) -> Drafting:
    encoder = encoder or FakeEncoder()
    return Drafting(
        library,
        Generator(engine, GeneratorTable(), "CC-BY-4.0"),
        Gates(GatesTable(), Blocklist(["palabrota"]), FakeLanguages()),
        Ranker(encoder, engine, RankerTable()),
        encoder,
        encoder.version,
        Clock(),
    )


def test_candidates_wait_by_score_with_all_that_was_measured(library: Library) -> None:
    engine = FakeEngine(lambda n: GOOD if n == seed(BRIEF, 2) else "Nada que ver. Nada.")
    drafted = drafting(library, engine).draft(BRIEF, 3)
    waiting = library.candidates("waiting")
    assert {c.id for c in waiting} == set(drafted.candidates)
    best = waiting[0]
    assert best.lesson.provenance.seed == seed(BRIEF, 2)
    assert best.score is not None
    assert sum(f.share for f in best.factors) == pytest.approx(1.0)
    assert [g.gate for g in waiting[1].gates if not g.passed] == ["length"]
    assert library.brief(drafted.brief).title == "El cóndor"


def test_a_draft_that_must_not_be_approved_is_kept_but_does_not_wait(library: Library) -> None:
    engine = FakeEngine(lambda n: GOOD + (" Palabrota." if n == seed(BRIEF, 0) else ""))
    stopped, waiting = drafting(library, engine).draft(BRIEF, 2).candidates
    assert library.candidate(stopped).state == "stopped"
    assert library.candidate(waiting).state == "waiting"


def test_a_draft_that_copies_a_lesson_is_stopped(library: Library) -> None:
    Review(library, ReviewTable()).bring_in(a_lesson(body=blocks(GOOD)), ["Rosa"])
    (number,) = drafting(library, FakeEngine()).draft(BRIEF, 1).candidates
    assert library.candidate(number).state == "stopped"


def test_asking_again_draws_other_seeds_even_after_empty_drafts(library: Library) -> None:
    engine = FakeEngine(lambda n: "" if n == seed(BRIEF, 0) else GOOD)
    first = drafting(library, engine).draft(BRIEF, 2)
    assert (len(first.candidates), first.empty) == (1, 1)
    drafting(library, engine).draft(BRIEF, 2)
    seeds = [sampling.seed for _, sampling in engine.submitted]
    assert seeds == [seed(BRIEF, n) for n in range(4)]


def test_each_lesson_of_the_catalogue_is_encoded_once(library: Library) -> None:
    review = Review(library, ReviewTable())
    for n in range(5):
        review.bring_in(a_lesson(f"l-{n}", body=(f"corto {n}",)), ["Rosa"])
    encoder = FakeEncoder()
    drafting(library, FakeEngine(), encoder).draft(BRIEF, 1)
    first, encoder.encoded = encoder.encoded, 0
    drafting(library, FakeEngine(), encoder).draft(BRIEF, 1)
    assert encoder.encoded == first - 5


def test_a_brief_that_answers_a_missed_search_settles_it(library: Library) -> None:
    library.add_missed_search("cóndor", "es", "village", 1.0)
    library.add_missed_search("los cóndores", "es", "village", 1.0)
    (missed,) = demands(library)
    drafting(library, FakeEngine()).draft(BRIEF, 1, missed)
    assert library.missed_searches() == []


def test_a_model_that_fails_leaves_no_trace(library: Library) -> None:
    engine = FakeEngine()
    engine.fail_at = 2
    with pytest.raises(RuntimeError):
        drafting(library, engine).draft(BRIEF, 3)
    assert library.candidates() == []
    assert library.drafts_of(BRIEF) == 0
