"""chaski-node: the command line of the node.

* Without `--config` the settings come from the environment alone (CHASKI_NODE__NODE__ID=…).
* `serve` and `sync` own the data folder; the others only look and run beside a server.
* stdout carries the answer, stderr the log. Errors end in one line, a hint and the exit code
  of CONTRIBUTING.md.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import msgspec

from models.errors import ModelError
from node import app, submissions
from node import status as statuses
from node.commands import delivery
from node.commands.tokens import tokens
from node.config import MEGABYTE, NodeConfig
from node.desk import Desk, language_option, pass_desk
from node.errand import import_through
from node.folder import DataFolder
from node.model.assembly import build_models, open_engine
from node.model.commands import models
from node.model.hand import in_use
from node.outcome import Outcome, error_of
from node.provision import from_stick, provision
from node.roads import spoken
from node.selftest import selftest
from node.store.lessons import Library
from node.store.search import Search
from node.telemetry.clock import Clock
from node.tutor import Answer, Tutor
from sync.errors import BusyError, SettingsError, TransportError
from sync.exits import Program
from sync.lesson import Language
from sync.verdict import day


@click.group(cls=Program)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="CHASKI_NODE_CONFIG",
    help="node.toml; also from CHASKI_NODE_CONFIG.",
)
@click.version_option(package_name="chaski")
@click.pass_context
def main(context: click.Context, path: Path | None) -> None:
    """Receive lessons, serve them to a village, answer questions, report."""
    level = logging.INFO if context.invoked_subcommand == "serve" else logging.ERROR
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    context.obj = Desk(path)


@main.command()
@pass_desk
def serve(desk: Desk) -> None:
    """Serve the portal and sync until SIGINT or SIGTERM."""
    app.run(desk.config(), ready=lambda url: click.echo(f"portal: {url}"))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@pass_desk
def sync(desk: Desk, as_json: bool) -> None:
    """Sync once, send what waits, and say what it cost."""
    config = desk.config()
    if not config.linked:
        raise SettingsError(
            "sync.hub and sync.roads are empty",
            hint="enrol this node at the hub, set one of them, or import from a stick",
        )
    _say(asyncio.run(_sync(config)), as_json)


def _say(outcome: Outcome, as_json: bool) -> None:
    """Prints `outcome`; raises what a program must know of."""
    click.echo(msgspec.json.encode(outcome).decode() if as_json else _told(outcome))
    if error := error_of(outcome):
        raise error


async def _sync(config: NodeConfig) -> Outcome:
    async with app.build(config, model=False) as node:
        node.services.delivery.go_on()
        outcome = await node.updater.sync()
        if node.link.is_set():
            await node.report()
        return outcome


@main.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@pass_desk
def import_(desk: Desk, folder: Path, as_json: bool) -> None:
    """Bring in what the stick at FOLDER carries; leave on it what waits for the hub."""
    config = desk.config()
    if not folder.is_dir():
        raise TransportError(f"{folder}: there is no such folder", hint="plug the stick in")
    try:
        outcome = asyncio.run(_import(config, folder))
    except BusyError:  # the node is serving: it does it itself
        outcome = asyncio.run(import_through(config.portal, str(folder.resolve())))
    _say(outcome, as_json)


async def _import(config: NodeConfig, folder: Path) -> Outcome:
    async with app.build(config, model=False) as node:
        node.services.delivery.go_on()
        return await node.services.sticks.take(folder)


def _told(outcome: Outcome) -> str:
    full = f" of {outcome.full_size:,} in full" if outcome.full_size else ""
    by = "".join(f"; {size:,} by {road}" for road, size in outcome.carried.items())
    return (
        f"{outcome.kind}: version {outcome.from_version} -> {outcome.to_version},"
        f" {outcome.bytes_down:,} bytes came down{full}, {outcome.seconds:.1f} s{by}"
    )


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@pass_desk
def status(desk: Desk, as_json: bool) -> None:
    """What is installed, when the hub was heard, what waits for a link."""
    config = desk.config()
    folder = DataFolder(Path(config.node.data))
    found = statuses.look(
        folder,
        config.node.id,
        ", ".join(map(spoken, config.roads)),
        config.sync.channel,
        config.telemetry.spool_megabytes * MEGABYTE,
        in_use(build_models(config, folder)) if config.tutor.enabled else "",
    )
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for line in statuses.lines(found):
        click.echo(line)


@main.command()
@click.option("--to-latest", is_flag=True, help="Show again what was rolled back from.")
@pass_desk
def rollback(desk: Desk, to_latest: bool) -> None:
    """Show the version before the installed one again; no sync undoes that, a newer one does.

    Also while the node serves: the next page view shows it.
    """
    folder = DataFolder(Path(desk.config().node.data))
    with closing(folder.store()) as store:
        trust = store.trust()
        now = Clock(trust.floors.signed_at if trust else 0.0).now()
        store.turn_back(folder.blobs().get, now, forward=to_latest)
        installed, held = store.installed(), store.held()
    assert installed is not None
    click.echo(f"version {installed.version} is shown")
    if held:
        click.echo(f"version {held.version} is held back; --to-latest shows it again")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@pass_desk
def history(desk: Desk, as_json: bool) -> None:
    """Which versions were shown here, newest first."""
    folder = DataFolder(Path(desk.config().node.data))
    with closing(folder.store()) as store:
        shown, held = store.history(), store.held()
    if as_json:
        click.echo(msgspec.json.encode({"shown": shown, "held": held}).decode())
        return
    for one in shown:
        note = "shown now" if one.current else "kept" if one.kept else ""
        note += ", in part" if one.part else ""
        click.echo(f"{day(one.at)}  version {one.version:4}  {one.root[:12]}  {note}".rstrip())
    if held:
        click.echo(f"version {held.version} is held back")


@main.command()
@click.argument("query", nargs=-1, required=True)
@language_option
@pass_desk
def search(desk: Desk, query: tuple[str, ...], language: Language | None) -> None:
    """Find lessons as the portal does."""
    config = desk.config()
    with _readers(config) as (found, _):
        hits = found.find(" ".join(query), language or config.node.language)
    for number, hit in enumerate(hits, 1):
        click.echo(f"{number}. {hit.title} ({hit.id}, {hit.language})")
        click.echo(f"   {' '.join(hit.passage.split())[:200]}")
    if not hits:
        click.echo("nothing found")


@main.command()
@click.argument("question", nargs=-1, required=True)
@language_option
@pass_desk
def ask(desk: Desk, question: tuple[str, ...], language: Language | None) -> None:
    """Quote the lesson that answers, then let the machine explain."""
    config = desk.config()
    with _readers(config) as (found, library):
        quoting = Tutor(found, library, None)
        answer = quoting.ask(" ".join(question), language or config.node.language)
        _quote(answer)
        if answer.quote is None or not config.tutor.enabled:
            return
        best = build_models(config, DataFolder(Path(config.node.data))).best()
        with open_engine(config, best) as engine:
            writing = Tutor(
                found, library, engine, max_tokens=config.tutor.max_tokens,
                deadline_s=config.tutor.deadline_seconds,
            )  # fmt: skip
            _write(writing, writing.ask(answer.question, answer.language))


def _quote(answer: Answer) -> None:
    if answer.quote is None:
        click.echo("No lesson here answers this.")
        for card in answer.nearest:
            click.echo(f"  near: {card.title} ({card.id}, {card.language})")
        return
    quote = answer.quote
    click.echo(f"{quote.title} ({quote.id}, {quote.language}):")
    click.echo(f"  «{' '.join(quote.passage.split())}»")


def _write(tutor: Tutor, answer: Answer) -> None:
    stream = tutor.explain(answer)
    if stream is None:
        raise ModelError("the machine is busy", hint="ask again in a minute")
    click.echo("Written by a machine:")
    told = False
    for text in stream:
        piece = text if told else text.lstrip()
        click.echo(piece, nl=False)
        told = told or bool(piece)
    click.echo("" if told else "(nothing that stays with the lesson)")


@contextmanager
def _readers(config: NodeConfig) -> Iterator[tuple[Search, Library]]:
    folder = DataFolder(Path(config.node.data))
    with closing(folder.store()) as store:
        yield Search(store), Library(store, folder.blobs())


main.add_command(submissions.submit)
main.add_command(submissions.submitted)


@main.command("selftest")
@pass_desk
def selftest_command(desk: Desk) -> None:
    """Check settings, disk, database, objects, keys and model, one line each."""
    failed: int | None = None
    for check in selftest(desk.config()):
        click.echo(f"{'ok  ' if check.code == 0 else 'FAIL'} {check.name:9} {check.detail}")
        failed = failed or check.code or None
    if failed:
        raise SystemExit(failed)


main.add_command(delivery.plan)
main.add_command(delivery.pins)


@main.command("provision")
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option(
    "--stick",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Take them from the stick mounted there.",
)
@click.option("--node", metavar="ID", help="Which node's, if the stick carries several.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@pass_desk
def provision_command(
    desk: Desk, source: Path | None, stick: Path | None, node: str | None, force: bool
) -> None:
    """Put the node.toml (and root.json and node.pem) at SOURCE in place as `--config`."""
    if (source is None) == (stick is None) or (node and not stick):
        raise click.UsageError("give SOURCE, or --stick FOLDER (and perhaps --node ID)")
    if desk.path is None:
        raise click.UsageError("give --config, the place for the settings")
    if stick is not None:
        config = from_stick(stick, desk.path, node, force=force)
    else:
        assert source is not None
        config = provision(source, desk.path, force=force)
    told = ", ".join(map(spoken, config.roads))
    click.echo(
        f"node {config.node.id} belongs to channel {config.sync.channel}, by {told or 'sticks'}"
    )


main.add_command(models)
main.add_command(tokens)


if __name__ == "__main__":
    main()
