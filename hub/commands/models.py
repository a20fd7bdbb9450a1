"""models: those that draft and rank here, and those that the channel carries to nodes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from hub.commands.console import (
    editor_option,
    json_option,
    out,
    pass_office,
    print_json,
    say,
    size,
    table,
)
from hub.office import Office
from models.edition import Edition
from models.store import ModelFolder
from sync.bundle.header import MAX_OBJECT_BYTES


@click.group()
def models() -> None:
    """The models that draft, rank, and explain in villages."""


@dataclass(frozen=True, slots=True)
class Line:
    """One model. `channel` is the version that the channel carries; empty: none."""

    name: str
    version: str
    kind: str
    title: str
    license: str
    languages: tuple[str, ...]
    bytes: int
    use: str
    channel: str


@models.command("list")
@json_option
@pass_office
def list_(office: Office, as_json: bool) -> None:
    """Every model folder, verified against its lock, and what the channel carries."""
    found = list(_lines(office))
    if as_json:
        print_json(found)
        return
    shown = table(
        "Models", "name", "version", "kind", "title", "licence", ">size", "here it", "channel"
    )
    for line in found:
        shown.add_row(
            line.name, line.version, line.kind, line.title, line.license, size(line.bytes),
            line.use, "this version" if line.channel == line.version else line.channel,
        )  # fmt: skip
    out.print(shown)


def _lines(office: Office) -> Iterator[Line]:
    used = {office.config.generator.model: "drafts", office.config.ranker.model: "ranks"}
    carried = office.model_stock.carried()
    for name in office.models.names():
        yield _here(office.models.open(name), used.get(name, ""), carried.pop(name, None))
    for name, held in carried.items():
        yield Line(name, held.version, "", "", "", (), held.size, "", held.version)


def _here(f: ModelFolder, use: str, carried: Edition | None) -> Line:
    return Line(
        f.name, f.version, f.card.kind, f.card.title, f.card.license, f.card.languages,
        f.model.stat().st_size, use, carried.version if carried else "",
    )  # fmt: skip


@models.command("publish")
@click.argument("model")
@editor_option
@pass_office
def publish(office: Office, model: str, editor: str) -> None:
    """Put MODEL, a folder or a name of `models list`, into the channel; `publish` sends it."""
    folder = Path(model) if Path(model).is_dir() else office.models.open(model).path
    done = office.model_stock.publish(folder, editor)
    made = done.edition
    if done.measured:
        say("it had no self-test; this is measured now and travels with it")
    say(f"{made.name} {made.version} is accepted: {done.report.detail}")
    if done.replaced == made.version:
        say("the channel carries this version already")
    elif done.replaced:
        say(f"it replaces {done.replaced}{_whole(made)}")
    say(f"{size(made.size)}, goes out with the next `chaski-hub publish`")


def _whole(made: Edition) -> str:
    """A word on files that are too large for a difference."""
    large = [name for name, file in made.files.items() if 2 * file.size > MAX_OBJECT_BYTES]
    return f"; {', '.join(large)} is too large for a difference and travels whole" if large else ""


@models.command("withdraw")
@click.argument("name")
@pass_office
def withdraw(office: Office, name: str) -> None:
    """Take model NAME out of the channel; nodes go back to the one their program came with."""
    held = office.model_stock.withdraw(name)
    say(f"{name} {held.version} is out of the channel with the next `chaski-hub publish`")
