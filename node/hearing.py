"""Hearing: what follows from a sync that ended, and from what happens on the pages.

An event for the hub, a figure, a line in the log; what was looked for in vain also says here
what should come first.
"""

import asyncio
import logging

from node.agenda import Agenda
from node.outcome import Outcome
from node.portal.pages import parse_language
from node.telemetry.metrics import Metrics
from node.telemetry.recorder import Recorder
from sync.errors import ChaskiError
from sync.events import EventKind

log = logging.getLogger("chaski.node")


def hear(outcome: Outcome, metrics: Metrics, recorder: Recorder, link: asyncio.Event) -> None:
    """What follows from a sync: figures, the log, an event, and the way up is open."""
    metrics.outcome(outcome)
    level = logging.INFO if outcome.good else logging.WARNING
    log.log(level, "sync: %s: %s", outcome.kind, outcome.message)
    if outcome.kind not in ("current", "held", "paused", "unreachable"):
        recorder.record("sync", told(outcome))
    if outcome.kind != "unreachable":
        link.set()


def note(recorder: Recorder, agenda: Agenda, kind: EventKind, data: dict[str, str]) -> None:
    """Keeps an event for the hub; a search in vain also says here what should come first."""
    recorder.record(kind, data)
    language = parse_language(data.get("language"))
    if kind == "search_missed" and language:
        try:
            agenda.miss(data.get("query", ""), language)
        except ChaskiError as error:
            log.warning("a search in vain is forgotten: %s", error)


def told(outcome: Outcome) -> dict[str, str]:
    """An outcome as an event says it."""
    return {
        "outcome": outcome.kind,
        "from_version": str(outcome.from_version),
        "to_version": str(outcome.to_version),
        "bytes_down": str(outcome.bytes_down),
        "full_size": str(outcome.full_size),
        "seconds": f"{outcome.seconds:.3f}",
        "message": outcome.message,
    }
