"""TOML as our people write it: one key a line, arrays on one line, tables after the keys.

* What an editor exports and brings back unchanged is the same file, byte for byte. (tomli-w
  sets every item of an array on its own line, which would touch each lesson's file.)
* Values: text, whole numbers, booleans, lists of these, tables of these, lists of tables.
  `tomllib` reads back what was given.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

Value = object


def dumps(table: Mapping[str, Value]) -> str:
    """`table` as a TOML document. Raises TypeError for a value it cannot hold."""
    return "".join(_lines(table, ""))


def _lines(table: Mapping[str, Value], prefix: str) -> Iterator[str]:
    for key, value in table.items():
        if not _is_table(value):
            yield f"{_key(key)} = {_inline(value)}\n"
    for key, value in table.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, Mapping):
            yield f"\n[{name}]\n"
            yield from _lines(value, f"{name}.")
        elif _is_table(value):
            assert isinstance(value, Sequence)
            for item in value:
                yield f"\n[[{name}]]\n"
                yield from _lines(item, f"{name}.")


def _is_table(value: Value) -> bool:
    if isinstance(value, Mapping):
        return True
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
    )


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _text(key)


def _inline(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _text(value)
        case list() | tuple():
            return f"[{', '.join(map(_inline, value))}]"
    raise TypeError(f"TOML cannot hold a {type(value).__name__}")


def _text(value: str) -> str:
    """JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
