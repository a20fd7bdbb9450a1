"""models: which model explains, and how to change it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from node.config import NodeConfig
from node.desk import Desk, pass_desk
from node.folder import DataFolder
from node.model import hand
from node.model.assembly import build_examiner, build_models
from node.model.models import Models
from node.model.pointer import version_of
from node.telemetry.clock import Clock
from sync.errors import SettingsError
from sync.manifest import Manifest

OBEYED = "a node that serves changes to it within seconds"


@dataclass(frozen=True, slots=True)
class Bench:
    """What these commands work on."""

    config: NodeConfig
    models: Models
    manifest: Manifest | None
    now: float


@contextmanager
def _bench(desk: Desk) -> Iterator[Bench]:
    config = desk.config()
    if not config.tutor.enabled:
        raise SettingsError("the tutor is switched off", hint="set tutor.enabled = true")
    folder = DataFolder(Path(config.node.data))
    with closing(folder.store()) as store:
        trust = store.trust()
        now = Clock(trust.floors.signed_at if trust else 0.0).now()
        yield Bench(config, build_models(config, folder), store.manifest(), now)


@click.group()
def models() -> None:
    """The model that explains: which one, and the way back."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@pass_desk
def list_(desk: Desk, as_json: bool) -> None:
    """Every version of the tutor's model that is known here."""
    with _bench(desk) as bench:
        found = hand.lines(bench.models, bench.manifest)
    if as_json:
        click.echo(msgspec.json.encode({"name": bench.models.name, "versions": found}).decode())
        return
    click.echo(bench.models.name)
    for line in found:
        channel = ", in the channel" if line.carried else ""
        click.echo(f"  {line.version:12}  {line.source:7}  {line.use}{channel}")
        if line.refusal:
            click.echo(f"      {line.refusal.why}: {line.refusal.detail}")


@models.command("use")
@click.argument("version")
@pass_desk
def use(desk: Desk, version: str) -> None:
    """Explain with VERSION (or `shipped`) from now on, if it passes its self-test."""
    with _bench(desk) as bench:
        examiner = build_examiner(bench.config)
        chosen = hand.use(bench.models, bench.manifest, version, examiner, bench.now)
    click.echo(f"{bench.models.name} {version_of(chosen)} is used; {OBEYED}")


@models.command()
@pass_desk
def rollback(desk: Desk) -> None:
    """Explain with the model before; no sync undoes that, a newer model does."""
    with _bench(desk) as bench:
        pointer = hand.rollback(bench.models, bench.now)
    click.echo(f"{bench.models.name} {version_of(pointer.current)} is used; {OBEYED}")
