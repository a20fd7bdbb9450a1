"""Every variation of every case has a test that runs in CI, and docs/faults.md says which."""

from tests.faults.catalogue import CASES
from tests.faults.matrix import PATH, shown, text

KNOWN = {(case.number, variation) for case in CASES for variation in case.variations}


def test_the_cases_are_numbered_from_1_to_23() -> None:
    assert [case.number for case in CASES] == list(range(1, 24))
    assert all(case.variations for case in CASES)


def test_every_variation_has_a_test_that_runs_in_ci() -> None:
    certain = {(one.number, one.variation) for one in shown() if one.certain}
    assert sorted(KNOWN - certain) == []


def test_every_mark_is_of_a_variation_in_the_catalogue() -> None:
    foreign = [one for one in shown() if (one.number, one.variation) not in KNOWN]
    assert foreign == []


def test_the_matrix_in_the_documents_is_that_of_the_tests() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "run python -m tests.faults"
