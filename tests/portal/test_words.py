"""Numbers, times and grades as a reader says them."""

import pytest

from node.portal.i18n.catalogue import open_catalogue
from node.portal.words import Words
from sync.lesson import Language


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (18_234, "18.2 kB"),
        (412_000, "412 kB"),
        (1_240_000, "1.2 MB"),
        (999_999_999, "1000 MB"),
        (64_000_000_000, "64.0 GB"),
    ],
)
def test_sizes_are_short(count: int, said: str) -> None:
    assert Words(open_catalogue("es")).size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "hace un momento"),
        (59, "hace un momento"),
        (60, "hace 1 minuto"),
        (3599, "hace 59 minutos"),
        (3600, "hace 1 hora"),
        (86399, "hace 23 horas"),
        (86400, "hace 1 día"),
        (864000, "hace 10 días"),
    ],
)
def test_times_are_told_as_a_distance(seconds: float, said: str) -> None:
    assert Words(open_catalogue("es")).ago(seconds) == said


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("es", ["1.º de primaria", "5.º de secundaria"]),
        ("qu", ["1 kaq primaria", "5 kaq secundaria"]),
        ("en", ["Primary 1", "Secondary 5"]),
    ],
)
def test_grades_are_said_in_each_language(language: Language, said: list[str]) -> None:
    words = Words(open_catalogue(language))
    assert [words.grade("primaria-1"), words.grade("secundaria-5")] == said
    assert words.grade("inicial") == "inicial"
