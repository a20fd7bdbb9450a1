"""users, enrol: who may come in, and which nodes."""

import re
import time
from pathlib import Path
from typing import get_args

import click

from hub import toml
from hub.commands.console import json_option, out, pass_office, print_json, say, table
from hub.office import Office
from hub.publisher import trusted_state
from hub.users import Role
from sync.errors import BusyError, SettingsError
from sync.files import atomic_write
from sync.identity import NodeKey

ROOT_FILE = "root.json"
KEY_FILE = "node.pem"
_NODE_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
MAX_NODE_ID_CHARS = 64


@click.group()
def users() -> None:
    """Who may sign in to the studio."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(get_args(Role)), required=True)
@json_option
@pass_office
def add(office: Office, name: str, role: str, as_json: bool) -> None:
    """Let NAME in; prints the password, which is shown this once."""
    password = office.users.add(name, role)
    _told(name, role, password, as_json)


@users.command()
@click.argument("name")
@json_option
@pass_office
def renew(office: Office, name: str, as_json: bool) -> None:
    """Give NAME a new password; their sessions end."""
    users = office.users
    password = users.renew(name)
    found = users.find(name)
    _told(name, found.role if found else "", password, as_json)


@users.command("list")
@json_option
@pass_office
def list_(office: Office, as_json: bool) -> None:
    """Who may sign in."""
    found = office.users.all()
    if as_json:
        print_json([{"name": u.name, "role": u.role, "since": u.since} for u in found])
        return
    shown = table("Users", "name", "role", "since")
    for user in found:
        shown.add_row(user.name, user.role, time.strftime("%Y-%m-%d", time.gmtime(user.since)))
    out.print(shown)


@click.command()
@click.argument("node_id")
@click.option(
    "--out", "path", type=click.Path(path_type=Path), required=True, help="The node.toml to write."
)
@click.option("--hub", "url", help="Address of this hub as the node sees it.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@pass_office
def enrol(office: Office, node_id: str, path: Path, url: str | None, force: bool) -> None:
    """Write the configuration of a new node, with root.json and its key node.pem beside it."""
    if len(node_id) > MAX_NODE_ID_CHARS or not _NODE_ID.match(node_id):
        raise SettingsError(
            f"not the name of a node: {node_id[:80]!r}",
            hint=f"up to {MAX_NODE_ID_CHARS} small letters and digits, parted by hyphens",
        )
    root = trusted_state(office.shelf, office.config.channel.id).root_bytes
    root_path, key_path, key = path.parent / ROOT_FILE, path.parent / KEY_FILE, NodeKey.create()
    for target, data in ((path, None), (key_path, None), (root_path, root)):
        if target.exists() and not force and (data is None or target.read_bytes() != data):
            raise BusyError(f"{target} is there already", hint="--force replaces it")
    config = {
        "node": {"id": node_id, "data": "data", "key": KEY_FILE},
        "sync": {
            "hub": url or office.config.url, "channel": office.config.channel.id, "root": ROOT_FILE,
        },
    }  # fmt: skip
    try:
        atomic_write(root_path, root)
        atomic_write(key_path, key.pem, mode=0o600)
        atomic_write(path, toml.dumps(config).lstrip().encode())
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    office.blocks.enrol(node_id, key.public, time.time())
    say(
        f"{path}, {root_path.name} and {key_path.name}: bring all three to the node, keep them "
        f"together; {key_path.name} is the node's secret"
    )


def _told(name: str, role: str, password: str, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "role": role, "password": password})
        return
    say(f"{name} ({role}), password {password}: it is not shown again")
