"""Delivery: `plan`, and `pins add|list|release`.

Both work beside a node that serves: `plan` asks it by its portal, pins are one transaction of
the database, seen by the next page.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import msgspec

from node import app
from node.config import NodeConfig
from node.desk import Desk, language_option, pass_desk
from node.errand import look_through
from node.folder import DataFolder
from node.preview import Preview, planned
from node.store.pins import Pins, lesson_path
from node.telemetry.clock import Clock
from sync.errors import BusyError, SettingsError
from sync.lesson import Language
from sync.verdict import day


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@pass_desk
def plan(desk: Desk, as_json: bool) -> None:
    """Say what a sync would bring, in which order, how long it takes and what it costs.

    Asks the hub, also through a node that serves; fetches no lesson.
    """
    config = desk.config()
    if not config.linked:
        raise SettingsError("sync.hub is empty", hint="enrol this node at the hub, or set sync.hub")
    try:
        seen = asyncio.run(_look(config))
    except BusyError:  # the node is serving: it looks itself
        seen = asyncio.run(look_through(config.portal))
    if as_json:
        click.echo(msgspec.json.encode(seen).decode())
        return
    for line in planned(seen):
        click.echo(line)


async def _look(config: NodeConfig) -> Preview:
    async with app.build(config, model=False) as node:
        return await node.services.delivery.look()


@click.group("pins")
def pins() -> None:
    """Lessons that a class works with: they stay as they are until they are released."""


@pins.command("add")
@click.argument("lesson")
@language_option
@pass_desk
def pins_add(desk: Desk, lesson: str, language: Language | None) -> None:
    """Keep LESSON (its id) as it is shown now, whatever comes."""
    with _pinning(desk) as (held, now, default):
        pin = held.add(lesson_path(lesson, language or default), now)
    click.echo(f"{pin.path} stays as it is")


@pins.command("release")
@click.argument("lesson")
@language_option
@pass_desk
def pins_release(desk: Desk, lesson: str, language: Language | None) -> None:
    """Show the newest revision of LESSON again, at once."""
    with _pinning(desk) as (held, _, default):
        path = lesson_path(lesson, language or default)
        held.release(path)
    click.echo(f"{path} is shown as the channel has it")


@pins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@pass_desk
def pins_list(desk: Desk, as_json: bool) -> None:
    """Which lessons are pinned, and whether a newer revision waits."""
    with _pinning(desk) as (held, _, _):
        found = held.all()
    if as_json:
        told = [{"path": p.path, "hash": p.lesson.hash, "at": p.at, "newer": n} for p, n in found]
        click.echo(msgspec.json.encode(told).decode())
        return
    notes = {"same": "", "revision": "a newer revision waits", "removed": "left the channel"}
    for pin, newer in found:
        click.echo(f"{day(pin.at)}  {pin.path}  {notes[newer]}".rstrip())
    if not found:
        click.echo("nothing is pinned")


@contextmanager
def _pinning(desk: Desk) -> Iterator[tuple[Pins, float, Language]]:
    """The pins, the time, and the node's language; also while the node serves."""
    config = desk.config()
    folder = DataFolder(Path(config.node.data))
    with closing(folder.store()) as store:
        trust = store.trust()
        now = Clock(trust.floors.signed_at if trust else 0.0).now()
        yield Pins(store, folder.blobs().get), now, config.node.language
