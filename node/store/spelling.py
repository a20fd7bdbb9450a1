"""Spelling: which words of the library a misspelt word may stand for. Pure.

* Two words that sound alike in Andean Spanish (b/v, s/c/z, ll/y, silent h, qu/k/c, g/j) are
  one edit or none apart; so `bacuna` finds `vacuna`.
* Otherwise one edit (insert, delete, replace, swap) is forgiven from 4 letters on, two
  from 8 on. Numbers are never corrected.
"""

import re

MIN_LETTERS = 4
LONG_LETTERS = 8

_SOUNDS = (
    (re.compile(r"qu(?=[ei])|c(?=[aou]|[^aeiouh]|$)|q"), "k"),
    (re.compile(r"g(?=[ei])"), "j"),
    (re.compile(r"z|c(?=[ei])"), "s"),
    (re.compile(r"(?<!c)h"), ""),
    (re.compile(r"ll"), "y"),
    (re.compile(r"v"), "b"),
)
_STARTS = ("bv", "cszkq", "gj", "yl")


def sound(word: str) -> str:
    """A spelling in which words that sound alike are equal."""
    for pattern, letter in _SOUNDS:
        word = pattern.sub(letter, word)
    return word


def starts(word: str) -> set[str]:
    """The first letters that a word may have which `word` stands for."""
    first = {word[0], "h", *(word[1:2] if word[0] == "h" else "")}
    return first | {letter for group in _STARTS if word[0] in group for letter in group}


def distance(word: str, other: str) -> int | None:
    """Edits between the sounds of two words; None when they are too far apart to be one."""
    if len(word) < MIN_LETTERS or len(other) < MIN_LETTERS or not (word + other).isalpha():
        return None
    allowed = 2 if min(len(word), len(other)) >= LONG_LETTERS else 1
    edits = _edits(sound(word), sound(other), allowed)
    return edits if edits <= allowed else None


def _edits(a: str, b: str, allowed: int) -> int:
    """Optimal string alignment distance, or `allowed` + 1 as soon as it must exceed that."""
    if abs(len(a) - len(b)) > allowed:
        return allowed + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        last, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > allowed:
            return allowed + 1
    return row[-1]
