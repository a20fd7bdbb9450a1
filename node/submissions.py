"""submit, submitted: a lesson handed in at the command line, and what became of it.

* A file with front matter of ours (`+++`, TOML, `+++`) says title, topic, grade, language,
  author and licence itself; options go before it.
* While the node serves, its portal is asked to do it: the spool has one owner.
"""

import asyncio
import re
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from node.config import MEGABYTE, NodeConfig
from node.desk import Desk, pass_desk
from node.errand import hand_in_through
from node.folder import DataFolder
from node.handing import Handed, Handing
from node.store.lessons import Library
from node.telemetry.clock import Clock
from sync.errors import BusyError, ContentError, SettingsError
from sync.lesson import Grade
from sync.parcel import MAX_PARCEL_BYTES, Licence, parcel
from sync.verdict import day

_FRONT = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*\n", re.DOTALL | re.MULTILINE)
FIELDS = ("title", "author", "licence", "topic", "grade", "language")
SAID = {
    "waiting": "waits for a link", "sent": "sent", "received": "received by the hub",
    "refused": "refused by the hub", "published": "published",
}  # fmt: skip


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("attachments", nargs=-1, type=click.Path(path_type=Path))
@click.option("--author", help="Whose work it is, as it shall be named.")
@click.option("--licence", type=click.Choice(get_args(Licence)), help="Else CC-BY-4.0.")
@click.option("--topic", help="Topic id of the channel.")
@click.option("--grade", type=click.Choice(get_args(Grade)))
@click.option("--language", type=click.Choice(("es", "qu", "en")), help="Else the node's own.")
@click.option("--title", help="Else the first heading, or the file's name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@pass_desk
def submit(
    desk: Desk, /, file: Path, attachments: tuple[Path, ...], as_json: bool, **options: str | None
) -> None:
    """Hand in the lesson in FILE (Markdown), with photos or PDFs, to be reviewed at the hub."""
    config = desk.config()
    text = _text(file)
    fields = _fields(config, file, text, options)
    files = [(path.name, _read(path)) for path in attachments]
    try:
        handed = _hand_in(config, fields, files)
    except BusyError:  # the node is serving: it does it itself
        handed = asyncio.run(hand_in_through(config.portal, fields, files))
    if as_json:
        click.echo(msgspec.json.encode(handed).decode())
        return
    click.echo(
        f"{handed.title}: {SAID[handed.state]}, {handed.size:,} bytes in {handed.parts} parts"
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@pass_desk
def submitted(desk: Desk, as_json: bool) -> None:
    """What was handed in here, and what became of it."""
    config = desk.config()
    folder = DataFolder(Path(config.node.data))
    with (
        closing(folder.store()) as store,
        closing(folder.spool(config.telemetry.spool_megabytes * MEGABYTE)) as spool,
    ):
        library = Library(store, folder.blobs())
        found = Handing(spool, library, Clock(), config.node.id, folder.path, 0).handed()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for one in found:
        left = f" ({one.gone} of {one.parts} parts left)" if one.state == "waiting" else ""
        click.echo(f"{day(one.at)}  {SAID[one.state]}{left}  {one.title}, {one.author}")
    if not found:
        click.echo("nothing was handed in here")


def _hand_in(config: NodeConfig, fields: dict[str, str], files: list[tuple[str, bytes]]) -> Handed:
    folder = DataFolder(Path(config.node.data))
    with (
        closing(folder.lock()),
        closing(folder.store()) as store,
        closing(folder.spool(config.telemetry.spool_megabytes * MEGABYTE)) as spool,
    ):
        library = Library(store, folder.blobs())
        channel = library.channel()
        topics = [topic.id for topic in (channel.topics if channel else ())]
        if fields["topic"] not in topics:
            raise ContentError(
                f"there is no topic {fields['topic'][:80]!r}",
                hint=f"topics: {', '.join(topics) or 'none before the first sync'}",
            )
        made = parcel(**fields, files=files)
        trust = store.trust()
        clock = Clock(trust.floors.signed_at if trust else 0.0)
        keep = config.node.keep_free_megabytes * MEGABYTE
        return Handing(spool, library, clock, config.node.id, folder.path, keep).hand_in(made)


def _fields(
    config: NodeConfig, file: Path, text: str, options: dict[str, str | None]
) -> dict[str, str]:
    """What the parcel's cover says: the options, else the file's front matter, else defaults."""
    front = _FRONT.match(text)
    said: dict[str, Any] = {}
    if front:
        try:
            said = tomllib.loads(front[1])
        except tomllib.TOMLDecodeError as error:
            raise ContentError(
                f"{file}: front matter: {error}", hint="mend the line it names"
            ) from error
        said["licence"] = said.get("license")
    heading = re.search(r"^# +(.+)$", text[front.end() :] if front else text, re.MULTILINE)
    defaults = {
        "title": heading[1] if heading else file.stem, "licence": "CC-BY-4.0",
        "language": config.node.language,
    }  # fmt: skip
    fields = {}
    for name in FIELDS:
        value = options.get(name) or said.get(name) or defaults.get(name)
        if not isinstance(value, str):
            raise click.UsageError(f"give --{name}")
        fields[name] = value
    return fields | {"text": text}


def _text(file: Path) -> str:
    try:
        return _read(file).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ContentError(f"{file}: not UTF-8: {error}", hint="save it as UTF-8") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PARCEL_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", hint="give the path of a file") from error
    if len(data) > MAX_PARCEL_BYTES:
        raise ContentError(
            f"{path}: more than the {MAX_PARCEL_BYTES:,} bytes that travel with a lesson",
            hint="make the picture smaller",
        )
    return data
