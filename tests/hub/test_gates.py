"""Every gate speaks, with its reason; which of them stop a draft."""

from pathlib import Path

import pytest

from hub.config import SHIPPED_BLOCKLIST, GatesTable
from hub.gates import Blocklist, CopyIndex, Gates, fold, repetition, stopped
from hub.ingest import markdown
from sync.errors import SettingsError
from sync.lesson import blocks
from tests.hub.fakes import GOOD, FakeLanguages, a_lesson

NOTHING = CopyIndex([])


def judge(text: str, known: CopyIndex = NOTHING, language: str = "es") -> dict[str, bool]:
    gates = Gates(GatesTable(), Blocklist(["palabrota"]), FakeLanguages(language))
    results = gates.judge(a_lesson(body=blocks(text)), known)
    assert all(r.reason for r in results)
    return {r.gate: r.passed for r in results}


def test_a_good_draft_passes_every_gate() -> None:
    assert judge(GOOD) == dict.fromkeys(
        ("length", "repetition", "language", "blocklist", "copy"), True
    )


def test_a_short_draft_and_a_long_one_fail_length() -> None:
    assert not judge("Muy corto.")["length"]
    assert not judge(" ".join(f"palabra{n}" for n in range(701)))["length"]


def test_a_draft_that_goes_round_in_circles_fails_repetition() -> None:
    circles = "El agua sube y el agua baja otra vez. " * 20
    assert not judge(circles)["repetition"]
    assert repetition(GOOD) == 0.0
    assert repetition("") == 0.0


def test_a_draft_in_another_language_fails_language() -> None:
    assert not judge(GOOD, language="en")["language"]


def test_a_blocked_word_stops_a_draft_whatever_its_case_and_accents() -> None:
    for word in ("Palabrota", "PALABROTAS", "pálabrota"):
        assert not judge(f"{GOOD} {word}.")["blocklist"]
    assert judge(f"{GOOD} apalabrotado.")["blocklist"]


def test_a_near_copy_of_a_text_we_have_stops_a_draft() -> None:
    known = CopyIndex([GOOD.upper()])
    assert not judge(GOOD, known)["copy"]
    half = GOOD[: len(GOOD) // 8] + " " + " ".join(f"otra{n} cosa{n}" for n in range(60))
    assert judge(half, known)["copy"]


def test_only_hard_gates_stop() -> None:
    gates = Gates(GatesTable(), Blocklist(["agua"]), FakeLanguages())
    assert not stopped(gates.judge(a_lesson(body=("Corto.",)), NOTHING))
    assert stopped(gates.judge(a_lesson(body=("Agua.",)), NOTHING))


def test_a_missing_blocklist_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.txt"):
        Blocklist.read(tmp_path / "none.txt")


def test_comments_and_empty_lines_of_a_blocklist_block_nothing(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("# agua\n\nfuego  grande # y esto\n", encoding="utf-8")
    blocklist = Blocklist.read(path)
    assert blocklist.found("agua y esto") == []
    assert blocklist.found("un fuego GRANDE") == ["fuego grande"]


def test_the_shipped_blocklist_lets_every_sample_lesson_through(root: Path) -> None:
    blocklist = Blocklist.read(SHIPPED_BLOCKLIST)
    lessons = markdown.read_folder(root / "hub" / "sample_library").lessons
    assert [m.path for m in lessons if blocklist.found(f"{m.title} {m.markdown}")] == []
    assert blocklist.found("¡Qué mierda!") == ["mierda"]


def test_folding_takes_accents_but_not_the_tilde_of_n() -> None:
    assert fold("Año, ÁRBOL, pingüino") == "año, arbol, pinguino"
