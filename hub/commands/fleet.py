"""fleet: how the nodes are, for an operator at a terminal."""

import time

import click
import msgspec
from rich.markup import escape

from hub.commands.console import json_option, out, pass_office, print_json, table
from hub.heard import NodeSync
from hub.office import Office
from hub.publisher import published


@click.command()
@json_option
@pass_office
def fleet(office: Office, as_json: bool) -> None:
    """Every node: installed version, lag, last contact, clock, what waits on it, its model."""
    head = published(office.shelf, office.config.channel.id)
    version = head.version if head else 0
    now = time.time()
    states = office.blocks.fleet(version, now)
    keys, syncs = office.blocks.keys(), office.library.heard.syncs()
    if as_json:
        print_json(
            [
                msgspec.to_builtins(s) | {"signs": s.node in keys, "sync": syncs.get(s.node)}
                for s in states
            ]
        )
        return
    shown = table(
        f"Nodes; the newest version is {version}",
        "node", "state", ">version", ">lag", ">hours ago", "clock", ">waiting", "model", "signs",
        "last sync",
    )  # fmt: skip
    for state in states:
        shown.add_row(
            state.node, state.condition, _count(state.version), _count(state.lag),
            f"{(now - state.last) / 3600:.1f}", state.clock, _count(state.spooled),
            escape(state.model or "?"), "yes" if state.node in keys else "no",
            _sync(syncs.get(state.node)),
        )  # fmt: skip
    out.print(shown)


def _sync(sync: NodeSync | None) -> str:
    return escape(f"{sync.outcome}: {sync.message}"[:60]) if sync else ""


def _count(number: int | None) -> str:
    return "?" if number is None else str(number)
