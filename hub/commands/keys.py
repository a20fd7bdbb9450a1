"""keys: create, rotate, revoke, show. Whose signatures nodes believe."""

import time
from pathlib import Path
from typing import get_args

import click

from hub.commands.console import json_option, out, pass_office, print_json, say, table
from hub.office import Office
from sync.head import PUBLISHING, Role
from sync.keys import SHORT
from sync.roots import RootInfo

offline_option = click.option(
    "--offline-root", "offline", type=click.Path(path_type=Path), multiple=True, metavar="FOLDER",
    help="Where a root key is: a stick in a drawer. Once for each.",
)  # fmt: skip


@click.group()
def keys() -> None:
    """The keys that sign what is published."""


@keys.command()
@offline_option
@click.option(
    "--threshold", type=int, default=1, show_default=True, help="Root keys that must sign."
)
@pass_office
def create(office: Office, offline: tuple[Path, ...], threshold: int) -> None:
    """Make the signing keys and the first root.json; done once."""
    office.keyring.create(offline, threshold)
    say(f"keys in {office.config.keys} (mode 0600): keep a copy of that folder offline")
    for folder in offline:
        say(f"a root key in {folder}: keep it away from this machine, and a copy of it elsewhere")


@keys.command()
@click.argument("role", type=click.Choice(get_args(Role)))
@offline_option
@click.option("--threshold", type=int, help="Root keys that must sign from now on.")
@pass_office
def rotate(office: Office, role: Role, offline: tuple[Path, ...], threshold: int | None) -> None:
    """Replace the key of ROLE; for root, one new key in each --offline-root."""
    _done(office, office.keyring.rotate(role, offline, threshold))


@keys.command()
@click.argument("key")
@offline_option
@pass_office
def revoke(office: Office, key: str, offline: tuple[Path, ...]) -> None:
    """Let KEY (the beginning of its id, or a role that signs heads) count no more."""
    _done(office, office.keyring.revoke(key, offline))


@keys.command()
@json_option
@pass_office
def show(office: Office, as_json: bool) -> None:
    """Who signs, how many must, and where the keys are."""
    info = office.keyring.show()
    if as_json:
        print_json(info)
        return
    good = time.strftime("%Y-%m-%d", time.gmtime(info.expires))
    shown = table(f"Root {info.version}, good until {good}", "role", ">needed", "keys", "where")
    for one in info.roles:
        ids = " ".join(key[:SHORT] for key in one.keys)
        where = "here" if office.keyring.here(one.role) else "elsewhere"
        shown.add_row(one.role, f"{one.threshold} of {len(one.keys)}", ids, where)
    out.print(shown)


def _done(office: Office, info: RootInfo) -> None:
    say(f"root version {info.version} is published")
    verdict = office.publisher.sign_again()
    if verdict:
        say(f"{verdict.channel} version {verdict.version} is signed again; nodes follow alone")
    if any(not office.keyring.here(role) for role in PUBLISHING):
        say("a key that signs heads is not here: nothing can be published")
