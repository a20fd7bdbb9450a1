"""Edit: every object of a group as a script over its base. The codec for texts.

* Two streams: the plan, which is all numbers (how many operations each object has, then all
  copies, all deletions, all lengths of insertions), and the inserted bytes, which have the
  bases as dictionary.
* An object whose script would not pay goes whole into the inserted bytes.
* Reading is bounded: an operation that does nothing, leaves its base or outgrows its
  object is a ContentError, so there are never more operations than bytes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sync import varint
from sync.codec import joined
from sync.codec.frame import roughly
from sync.codec.script import Differ, LineDiffer, Operation, Script
from sync.codec.streams import append_stream, read_stream
from sync.errors import ContentError
from sync.varint import Cursor

# Bytes on the wire, fitted to the real edits of facts A.2: per operation, per literal byte.
_OPERATION_COST, _LITERAL_COST = 2.3, 0.27
_SMALL_COST = 60
_SHARES = (0.6, 1.2)
"""What part of an object's rough length a script may cost. Which is better depends on how much
the edits of a group resemble each other, so both are tried."""
_LAST_BYTES = re.compile(rb"[\0-\x7f]")
"""Those that end a number."""


class EditCodec:
    """Scripts told by `differ`."""

    name = "edit"

    def __init__(self, differ: Differ | None = None) -> None:
        self._differ = differ or LineDiffer()

    def encode(self, olds: Sequence[bytes], news: Sequence[bytes]) -> bytes:
        """See `Codec`."""
        scripts = [
            self._differ(old, new) if old else None for old, new in zip(olds, news, strict=True)
        ]
        wholes = [
            roughly(new, old) if script and _cost(script) > _SMALL_COST else 0
            for old, new, script in zip(olds, news, scripts, strict=True)
        ]
        tried: dict[tuple[bool, ...], bytes] = {}
        for share in _SHARES:
            paying = tuple(
                script is not None
                and 4 * len(script) <= len(old) + len(new)
                and (not whole or _cost(script) <= share * whole)
                for old, new, script, whole in zip(olds, news, scripts, wholes, strict=True)
            )
            if paying not in tried:
                chosen = [
                    script if script is not None and pays else _whole(old, new)
                    for old, new, script, pays in zip(olds, news, scripts, paying, strict=True)
                ]
                tried[paying] = _payload(chosen, joined(olds))
        return min(tried.values(), key=len)

    def decode(self, payload: bytes, olds: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """See `Codec`."""
        # An operation is worth four bytes; an object that goes whole has four numbers of four.
        most = sum(map(len, olds)) + sum(sizes) + 16 * len(sizes)
        cursor = Cursor(payload, "edit")
        counts, copies, deletes, inserts = _columns(read_stream(cursor, most), len(sizes), most)
        literals = Cursor(read_stream(cursor, sum(sizes), joined(olds)), "edit literals")
        cursor.end()
        news = []
        for old, size in zip(olds, sizes, strict=True):
            new = bytearray()
            at = 0
            for _ in range(counts.number(most)):
                copy = copies.number(min(len(old) - at, size - len(new)))
                new += old[at : at + copy]
                at += copy
                delete = deletes.number(len(old) - at)
                at += delete
                insert = inserts.number(size - len(new))
                new += literals.take(insert)
                if not delete and not insert:
                    raise ContentError("edit: an operation does nothing")
            if len(new) + len(old) - at != size:
                raise ContentError(f"edit: an object of {size} bytes came out otherwise")
            news.append(bytes(new) + old[at:])
        for stream in (counts, copies, deletes, inserts, literals):
            stream.end()
        return news


def _payload(scripts: Iterable[Script], dictionary: bytes) -> bytes:
    counts, copies, deletes, inserts = bytearray(), bytearray(), bytearray(), bytearray()
    literals: list[bytes] = []
    for script in scripts:
        varint.append(counts, len(script))
        for operation in script:
            varint.append(copies, operation.copy)
            varint.append(deletes, operation.delete)
            varint.append(inserts, len(operation.insert))
            literals.append(operation.insert)
    out = bytearray()
    append_stream(out, bytes(counts + copies + deletes + inserts))
    append_stream(out, b"".join(literals), dictionary, text=True)
    return bytes(out)


def _whole(old: bytes, new: bytes) -> Script:
    """The script of an object that goes whole into the literals."""
    return (Operation(0, len(old), new),) if old or new else ()


def _cost(script: Script) -> float:
    """About how many bytes a script is on the wire."""
    return _OPERATION_COST * len(script) + _LITERAL_COST * sum(len(o.insert) for o in script)


def _columns(plan: bytes, objects: int, most: int) -> Iterator[Cursor]:
    """The four columns of a plan, cut apart without reading their numbers into memory."""
    ends = _LAST_BYTES.finditer(plan)
    at = _after(ends, objects, 0)
    counts = Cursor(plan[:at], "edit counts")
    yield counts
    operations = _total(plan[:at], objects, most)
    for name in ("copies", "deletions", "insertions"):
        start, at = at, _after(ends, operations, at)
        yield Cursor(plan[start:at] if name != "insertions" else plan[start:], f"edit {name}")


def _total(counts: bytes, objects: int, most: int) -> int:
    """How many operations there are. Raises ContentError above `most`."""
    cursor, total = Cursor(counts, "edit counts"), 0
    for _ in range(objects):
        total += cursor.number(most - total)
    return total


def _after(ends: Iterator[re.Match[bytes]], numbers: int, at: int) -> int:
    """Where the next `numbers` numbers end; `at` when there is none."""
    for found in islice(ends, numbers):
        at = found.end()
    return at
