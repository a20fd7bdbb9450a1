"""Hand: what a person may decide about the model, beside a node that serves or without one.

* It writes the pointer; a node that serves obeys at its next look.
* What a person leaves is refused, so that no sync brings it back; what a person asks for is
  allowed again, and tested before it is used.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from models.edition import Edition
from models.errors import ModelError
from models.examiner import Examiner
from node.model import pointer as pointers
from node.model.models import Models
from node.model.pointer import SHIPPED, Pointer, Refusal, id_of
from sync.manifest import Manifest

Use = Literal["in use", "on trial", "kept", "offered", "refused"]
LEFT = "left by hand"


class Line(msgspec.Struct, frozen=True):
    """One edition. `source` is "shipped" or "channel"; `use` what it is to this node."""

    version: str
    source: str
    use: Use
    carried: bool
    """The installed channel version carries it."""
    size: int
    """Bytes; 0 when not known."""
    refusal: Refusal | None = None


def lines(models: Models, manifest: Manifest | None) -> list[Line]:
    """Every edition that is known here, what is used first."""
    pointer = models.copies.read()
    carried = models.carried(manifest)
    shipped = models.shipped_version()
    found: dict[str, Line] = {}
    for edition in (pointer.current, pointer.previous, carried, None):
        if edition is None and shipped is None:
            continue
        found.setdefault(id_of(edition), _line(pointer, edition, carried, shipped))
    for refusal in pointer.refused:
        gone = Line(refusal.version, "channel", "refused", False, 0, refusal)
        found.setdefault(refusal.edition, gone)
    order = ("in use", "on trial", "kept", "offered", "refused")
    return sorted(found.values(), key=lambda line: order.index(line.use))


def _line(
    pointer: Pointer, edition: Edition | None, carried: Edition | None, shipped: str | None
) -> Line:
    name = id_of(edition)
    use: Use = "offered"
    if name == id_of(pointer.current):
        use = "on trial" if pointer.trial else "in use"
    elif pointer.refusal(name):
        use = "refused"
    elif edition is None or edition == pointer.previous:
        use = "kept"
    return Line(
        version=edition.version if edition else shipped or "",
        source="channel" if edition else SHIPPED,
        use=use,
        carried=carried is not None and name == carried.id,
        size=edition.size if edition else 0,
        refusal=pointer.refusal(name),
    )


def in_use(models: Models) -> str:
    """The model that explains, in a line."""
    pointer = models.copies.read()
    version = pointer.current.version if pointer.current else models.shipped_version()
    source = "channel" if pointer.current else SHIPPED
    how = ", on trial" if pointer.trial else ""
    last = pointer.last
    if last and last.why:
        how += f"; {last.kind.replace('_', ' ')}: {last.why}"
    return f"{models.name} {version}, {source}{how}" if version else f"{models.name} is missing"


def use(
    models: Models, manifest: Manifest | None, wanted: str, examiner: Examiner, at: float
) -> Edition | None:
    """Points to the edition of version `wanted`, or the shipped one, after a self-test; None:
    the shipped one.

    Raises ModelError: there is none, or it fails. SpaceError.
    """
    pointer = models.copies.read()
    carried = models.carried(manifest)
    edition = _find(models, (pointer.current, pointer.previous, carried), wanted)
    folder = models.copies.place(edition) if edition else models.folder(None)
    report = examiner.examine(folder.path)
    if report is None or not report.passed:
        why = f"{report.why}: {report.detail}" if report else "the self-test was stopped"
        raise ModelError(
            f"model {folder.name} {folder.version} fails its self-test: {why}",
            hint="`chaski-node models list` shows what else there is",
        )

    def decide(held: Pointer) -> Pointer:
        if id_of(held.current) == id_of(edition):
            return pointers.allow(held, id_of(edition))
        made = held
        for other in _others(carried, edition):
            made = pointers.refuse(made, other, "hand", LEFT, at)
        return pointers.switch(made, edition, at)

    models.copies.change(decide)
    return edition


def rollback(models: Models, at: float) -> Pointer:
    """Points to the edition before. Raises ModelError: there is none."""

    def decide(held: Pointer) -> Pointer:
        if held.previous is None and (held.current is None or models.shipped_version() is None):
            raise ModelError(
                "there is no model before this one", hint="`chaski-node models list` shows all"
            )
        return pointers.back(held, "hand", LEFT, at)

    return models.copies.change(decide)


def _others(carried: Edition | None, chosen: Edition | None) -> Iterator[Edition | None]:
    """What a sync would bring back, were it not refused."""
    if id_of(carried) != id_of(chosen):
        yield carried


def _find(models: Models, known: tuple[Edition | None, ...], wanted: str) -> Edition | None:
    for edition in known:
        if edition and wanted in (edition.version, edition.id):
            return edition
    if wanted in (SHIPPED, models.shipped_version()):
        return None
    raise ModelError(
        f"there is no version {wanted!r} of model {models.name} here",
        hint="`chaski-node models list` shows those there are",
    )
