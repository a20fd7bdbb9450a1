"""export-usb, collect: what goes to villages in a pocket, and what comes back."""

import time
from pathlib import Path

import click

from hub import stick
from hub.commands.console import json_option, out, pass_office, print_json, say, size, table
from hub.office import Office
from sync.acks import Acks, acks
from sync.signing import Publisher as Signing

DEFAULT_BASES = 5
ACKNOWLEDGED = 1_000_000
"""So many of the newest blocks are acknowledged on a stick."""

folder_argument = click.argument("folder", type=click.Path(path_type=Path))


@click.command("export-usb")
@folder_argument
@click.option(
    "--versions", type=click.IntRange(0, 1000), default=DEFAULT_BASES, show_default=True,
    help="Deltas from so many older versions; the whole bundle is always there.",
)  # fmt: skip
@click.option("--objects", is_flag=True, help="Add every object, for repair without the hub.")
@json_option
@pass_office
def export_usb(office: Office, folder: Path, versions: int, objects: bool, as_json: bool) -> None:
    """Put what is published on the stick mounted at FOLDER."""
    channel = office.config.channel.id
    older = office.library.versions(channel)[: versions + 1]
    numbers = {v.root: v.version for v in older}
    filled = stick.fill(
        folder, office.shelf, channel, numbers, objects=objects, acks=_acks(office, channel)
    )
    if as_json:
        print_json(
            {
                "folder": str(filled.folder), "channel": filled.channel,
                "version": filled.version, "root": filled.root, "objects": filled.objects,
                "bytes": filled.size,
                "bundles": [{"base": o.base, "size": o.size} for o in filled.offers],
            }
        )  # fmt: skip
        return
    say(f"{filled.folder}: {filled.channel} version {filled.version}, {size(filled.size)}")
    shown = table("Bundles", "from", ">bytes")
    for offer in filled.offers:
        base = f"version {numbers.get(offer.base, '?')}" if offer.base else "nothing"
        shown.add_row(base, size(offer.size))
    out.print(shown)
    if filled.acknowledged:
        say(f"acknowledged: the blocks of {filled.acknowledged} nodes; they forget theirs")
    say("everything is written; the stick can be pulled out")


def _acks(office: Office, channel: str) -> tuple[Acks, Signing] | None:
    """What nodes may forget; None without anything to say, or the key to say it with."""
    said = acks(channel, int(time.time()), office.blocks.stored(ACKNOWLEDGED))
    return (said, office.signing) if said.nodes and office.keyring.here("timestamp") else None


@click.command()
@folder_argument
@click.option("--keep", is_flag=True, help="Leave the blocks on the stick.")
@json_option
@pass_office
def collect(office: Office, folder: Path, keep: bool, as_json: bool) -> None:
    """Take home the metrics and events that nodes left on the stick at FOLDER."""
    done = stick.collect(folder, office.intake, keep=keep)
    if as_json:
        print_json(done)
        return
    say(
        f"{done.stored} blocks stored ({size(done.size)}), {done.known} were known, "
        f"{done.damaged} damaged, {done.refused} refused"
    )
