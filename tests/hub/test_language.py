"""The real language judge on real lessons of all three languages."""

from pathlib import Path

import pytest

from hub.ingest import markdown
from hub.language import QUECHUA_NONE, QUECHUA_SURE, LanguageJudge, quechua_share


@pytest.fixture(scope="module")
def judge() -> LanguageJudge:
    return LanguageJudge()


def test_every_sample_lesson_is_known_for_its_language_and_no_other(
    judge: LanguageJudge, root: Path
) -> None:
    for lesson in markdown.read_folder(root / "hub" / "sample_library").lessons:
        sure = {code: judge.confidence(lesson.markdown, code) for code in ("es", "en", "qu")}
        assert sure.pop(lesson.language) > 0.9, lesson.path
        assert max(sure.values()) < 0.1, lesson.path


def test_the_shares_that_part_quechua_from_the_rest_are_those_of_the_docstring(root: Path) -> None:
    lessons = markdown.read_folder(root / "hub" / "sample_library").lessons
    quechua = [quechua_share(m.markdown) for m in lessons if m.language == "qu"]
    others = [quechua_share(m.markdown) for m in lessons if m.language != "qu"]
    assert min(quechua) > QUECHUA_SURE
    assert max(others) < QUECHUA_NONE


def test_portuguese_and_nothing_are_not_spanish(judge: LanguageJudge) -> None:
    portuguese = "Os rios da região levam a água para o mar e as crianças não vão à escola."
    assert judge.confidence(portuguese, "es") < 0.5
    assert judge.confidence("", "es") < 0.6
    assert judge.confidence("", "qu") == 0.0
