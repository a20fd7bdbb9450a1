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
from sync.errors import BusyError, SettingsError, TransportError
from sync.files import atomic_write
from sync.identity import NodeKey
from sync.transport.directory import STICK, Layout

ROOT_FILE = "root.json"
KEY_FILE = "node.pem"
STICK_DATA = "/var/lib/chaski"
"""Where a node keeps its data that takes its settings from a stick: as its unit may write."""
VILLAGE = "0.0.0.0"  # noqa: S104 - pupils come from the network; docs/roads.md says what that means
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
@click.option("--out", "path", type=click.Path(path_type=Path), help="The node.toml to write.")
@click.option(
    "--stick",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Put it on the stick mounted there instead, for `chaski-node provision --stick`.",
)
@click.option("--hub", "url", help="Address of this hub as the node sees it.")
@click.option("--no-hub", is_flag=True, help="The node lives on sticks alone.")
@click.option("--kafka", is_flag=True, help="The node uses this hub's broker, too.")
@click.option(
    "--host",
    default=VILLAGE,
    show_default=True,
    help="Where the node's portal listens; 0.0.0.0 is every network that the node is in.",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@pass_office
def enrol(
    office: Office,
    node_id: str,
    path: Path | None,
    stick: Path | None,
    url: str | None,
    no_hub: bool,
    kafka: bool,
    host: str,
    force: bool,
) -> None:
    """Write the configuration of a new node, with root.json and its key node.pem beside it."""
    if (path is None) == (stick is None):
        raise click.UsageError("give --out FILE or --stick FOLDER")
    if no_hub and url:
        raise click.UsageError("--no-hub and --hub exclude each other")
    if url is not None and not url.startswith(("http://", "https://")):
        raise SettingsError(
            f"no address of a hub: {url[:80]!r}",
            hint="it begins with http:// or https://; --no-hub for a node that has sticks alone",
        )
    if kafka and not office.config.kafka.bootstrap:
        raise SettingsError("this hub has no kafka.bootstrap", hint="set it, or leave --kafka out")
    if len(node_id) > MAX_NODE_ID_CHARS or not _NODE_ID.match(node_id):
        raise SettingsError(
            f"not the name of a node: {node_id[:80]!r}",
            hint=f"up to {MAX_NODE_ID_CHARS} small letters and digits, parted by hyphens",
        )
    path = path or _on_stick(stick, node_id)
    root = trusted_state(office.shelf, office.config.channel.id).root_bytes
    root_path, key_path, key = path.parent / ROOT_FILE, path.parent / KEY_FILE, NodeKey.create()
    for target, data in ((path, None), (key_path, None), (root_path, root)):
        if target.exists() and not force and (data is None or target.read_bytes() != data):
            raise BusyError(f"{target} is there already", hint="--force replaces it")
    hub = "" if no_hub else url or office.config.url
    config: dict[str, dict[str, object]] = {
        "node": {"id": node_id, "data": STICK_DATA if stick else "data", "key": KEY_FILE},
        "sync": {"hub": hub, "channel": office.config.channel.id, "root": ROOT_FILE},
    }
    if kafka:
        broker = office.config.kafka
        config["kafka"] = {
            "bootstrap": broker.bootstrap, "prefix": broker.prefix, "tls": broker.tls,
        }  # fmt: skip
    config["portal"] = {"host": host}
    try:
        atomic_write(root_path, root)
        atomic_write(key_path, key.pem, mode=0o600)
        atomic_write(path, toml.dumps(config).lstrip().encode())
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    office.blocks.enrol(node_id, key.public, time.time())
    if stick:
        say(f"node {node_id} is on the stick: `chaski-node provision --stick` takes it from there")
    else:
        say(
            f"{path}, {root_path.name} and {key_path.name}: bring all three to the node, keep them"
            f" together; {key_path.name} is the node's secret"
        )
    if "//127." in hub or "//localhost" in hub:
        say(f"{hub} is this machine alone: give --hub, or set server.public_url")
    if kafka and office.config.kafka.username:
        say("the broker asks for a password: add kafka.username and password_file to node.toml")


def _on_stick(stick: Path | None, node_id: str) -> Path:
    """Where a node's settings go on a stick."""
    assert stick is not None
    if not stick.is_dir():
        raise TransportError(f"{stick}: there is no such folder", hint="plug the stick in")
    home = stick if stick.name == STICK else stick / STICK
    return Layout(home).enrolment(node_id)


def _told(name: str, role: str, password: str, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "role": role, "password": password})
        return
    say(f"{name} ({role}), password {password}: it is not shown again")
