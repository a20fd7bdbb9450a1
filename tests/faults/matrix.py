"""Matrix: which test shows which variation of which case. Read from the source of the tests, so
that it takes no run; written to `docs/faults.md` by `python -m tests.faults`.

A test counts only if no machine of CI may skip it: not if it, or a fixture that it takes, can.
(A missing service is no skip there: `CHASKI_REQUIRE_SERVICES` makes it a failure.)
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.catalogue import CASES

TESTS = Path(__file__).resolve().parents[1]
PATH = TESTS.parent / "docs" / "faults.md"
SKIPS = frozenset({"skip", "skipif", "xfail", "importorskip"})
HEAD = """# Faults

What can go wrong on the way of a lesson to a village, what must happen then, and which test
shows it. Written from `tests/faults/catalogue.py` and the marks of the tests by
`python -m tests.faults`; a test fails while it differs, and while a variation has no test that
runs in CI.

How files are watched, cut off and refused: `tests/faults/shim.c`. What a disk may hold after the
power failed: `tests/faults/crashfs.py`. More power cuts than `make test` tries:
`make test ARGS="tests/faults/test_power_cuts.py --crash-states 4000"`.
"""


@dataclass(frozen=True, slots=True)
class Shows:
    """One mark of one test."""

    number: int
    variation: str
    test: str
    certain: bool
    """No machine of CI may skip it."""


Function = ast.FunctionDef | ast.AsyncFunctionDef


def shown() -> Iterator[Shows]:
    """Every mark of every test."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")}
    functions = {
        path: [node for node in ast.walk(tree) if isinstance(node, Function)]
        for path, tree in trees.items()
    }
    loose = {f.name for found in functions.values() for f in found if _may_skip(f)}
    for path, found in sorted(functions.items()):
        for function in found:
            takes = {argument.arg for argument in function.args.args}
            for number, variation in _marks(function):
                test = f"{path.relative_to(TESTS.parent)}::{function.name}"
                certain = not (loose & takes) and not _may_skip(function)
                yield Shows(number, variation, test, certain)


def text() -> str:
    """The whole document."""
    by_variation: dict[tuple[int, str], list[str]] = {}
    for one in shown():
        by_variation.setdefault((one.number, one.variation), []).append(one.test)
    parts = [HEAD]
    for case in CASES:
        parts.append(f"\n## {case.number}. {case.name[0].upper()}{case.name[1:]}\n")
        parts.append(f"{case.must[0].upper()}{case.must[1:]}. Error: {case.error}.\n")
        if case.hardware:
            parts.append(f"Hardware: {case.hardware} is not part of any run; closest to it is:\n")
        parts += ["| variation | tests |", "|---|---|"]
        for variation in case.variations:
            tests = by_variation.get((case.number, variation), [])
            names = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests)
            parts.append(f"| {variation} | {names} |")
    return "\n".join(parts) + "\n"


def _marks(function: Function) -> Iterator[tuple[int, str]]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "fault":
            number, variation = (ast.literal_eval(argument) for argument in decorator.args)
            yield number, variation


def _may_skip(function: Function) -> bool:
    return any(
        _name(node) in SKIPS for node in ast.walk(function) if isinstance(node, ast.Attribute)
    )


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""
