"""Preview: what a sync would bring, how long it would take and what it would cost. Values only.

* Made from a bundle's header and the terms of the day; nothing else has come when it is shown.
* A lesson that is new here is called by its slug: its title travels with it.
* Bytes of a lesson are its share of its group, by size unpacked.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from node.agenda import Terms
from node.instalments import labels, parts
from node.link import LinkTable, Pace
from node.planner import Part, portion
from sync.bundle import BundleReader
from sync.journal import Download
from sync.manifest import Manifest

MAX_LISTED = 300
MAX_PREVIEW_BYTES = 512 * 1024
SHOWN_LINES = 40
Change = Literal["added", "changed"]


class Coming(msgspec.Struct, frozen=True):
    """One lesson that would come. `topic` is empty where it is not known yet."""

    path: str
    title: str
    change: Change
    language: str
    grade: str
    topic: str
    size: int
    now: bool
    """It fits into what is left of the day and the window."""


class Preview(msgspec.Struct, frozen=True):
    """What would come. Sizes in bytes, Unix seconds; lessons count once a language."""

    at: float
    version: int
    """What the hub has."""
    installed: int
    """The newest version that is here whole."""
    size: int = 0
    """What has still to come; 0: nothing new."""
    seconds: float = 0.0
    cost: float = 0.0
    currency: str = ""
    kilobits_per_second: float = 0.0
    measured: bool = True
    """False: the speed is a guess."""
    added: int = 0
    changed: int = 0
    removed: int = 0
    others: int = 0
    """Files and models, not lessons."""
    now_size: int = 0
    now_lessons: int = 0
    later_lessons: int = 0
    left_today: int | None = None
    """What the day's allowance and the window leave; None: no limit."""
    lessons: tuple[Coming, ...] = ()
    """In the order in which they would come, at most `MAX_LISTED`."""

    @property
    def later_size(self) -> int:
        """What would wait for another day or window."""
        return self.size - self.now_size


def preview(
    about: Preview,
    download: Download,
    reader: BundleReader,
    shown: Manifest | None,
    terms: Terms,
    link: LinkTable,
) -> Preview:
    """`about` with what the bundle of `reader` would bring to who has `shown`."""
    size = download.cost(0, download.offer.size)
    spans = reader.spans()
    coming = [n for n, span in enumerate(spans) if download.cost(*span)]
    ordered = terms.planner.order(parts(reader, coming, download.cost, terms))
    cut = portion(ordered, terms.budget)
    now = {part.number for part in cut.now}
    pace = terms.pace or Pace(0.0, known=False)
    listed = _lessons(reader, ordered, now, shown, terms)
    brought = [label for n in coming for label in labels(reader)[n]]
    held = shown.by_path() if shown else {}
    return msgspec.structs.replace(
        about,
        size=size,
        seconds=pace.seconds(size) if pace.kilobits_per_second else 0.0,
        cost=link.cost(size) if terms.pace else 0.0,
        currency=link.currency,
        kilobits_per_second=pace.kilobits_per_second,
        measured=pace.known,
        added=sum(one.change == "added" for one in listed),
        changed=sum(one.change == "changed" for one in listed),
        removed=sum(e.kind == "lesson" and e.path in held for e in reader.header.removed),
        others=sum(label.row[0] not in ("lesson", "channel") for label in brought),
        now_size=min(size, cut.size) if cut.later else size,
        now_lessons=sum(one.now for one in listed),
        later_lessons=sum(not one.now for one in listed),
        left_today=terms.budget,
        lessons=tuple(listed[:MAX_LISTED]),
    )


def _lessons(
    reader: BundleReader,
    ordered: Sequence[Part],
    now: set[int],
    shown: Manifest | None,
    terms: Terms,
) -> list[Coming]:
    """The lessons of the groups `ordered`; those of the groups `now` fit."""
    held = shown.by_path() if shown else {}
    sizes = {packed.label.path: packed.size for packed in reader.header.objects()}
    brought = labels(reader)
    listed = []
    for part in ordered:
        whole = sum(sizes.get(label.path, 0) for label in brought[part.number])
        for label in brought[part.number]:
            kind, _, grade, language = label.row
            if kind != "lesson":
                continue
            known = terms.known.get(label.path)
            listed.append(
                Coming(
                    path=label.path,
                    title=known.title if known else spoken(label.path),
                    change="changed" if label.path in held else "added",
                    language=language,
                    grade=grade,
                    topic=known.topic if known else "",
                    size=part.missing * sizes.get(label.path, 0) // max(1, whole),
                    now=part.number in now,
                )
            )
    return listed


def spoken(path: str) -> str:
    """`lessons/agua-segura.es.json` as a person reads it."""
    slug = path.rpartition("/")[2].split(".")[0]
    return slug.replace("-", " ").capitalize()


def planned(seen: Preview) -> list[str]:
    """A preview for a person at a terminal, a line a fact."""
    if not seen.size:
        return [f"version {seen.version} is current: nothing would come"]
    guess = "" if seen.measured else ", a guess"
    takes = f", {_minutes(seen.seconds)} at {seen.kilobits_per_second:g} kbit/s{guess}"
    lines = [
        f"version {seen.installed} -> {seen.version}: {seen.added} lessons new,"
        f" {seen.changed} changed, {seen.removed} removed, {seen.others} files",
        f"{seen.size:,} bytes"
        + (takes if seen.kilobits_per_second else "")
        + (f", {seen.cost:.2f} {seen.currency}" if seen.cost else ""),
    ]
    if seen.left_today is not None:
        lines.append(
            f"{seen.left_today:,} bytes are left of the day or window: {seen.now_lessons} lessons"
            f" fit now, {seen.later_lessons} wait ({seen.later_size:,} bytes)"
        )
    for one in seen.lessons[:SHOWN_LINES]:
        about = ", ".join(filter(None, (one.change, one.language, one.grade, one.topic)))
        when = "now  " if one.now else "later"
        lines.append(f"  {when} {one.size:>9,}  {one.title} ({about})")
    more = seen.now_lessons + seen.later_lessons - min(len(seen.lessons), SHOWN_LINES)
    return [*lines, f"  and {more} more"] if more else lines


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
