"""docs/reference.md, written from the code: every command, option and configuration key.

`python -m tests.reference` writes it anew; `tests/test_reference.py` fails while it differs.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from hub.cli import main as hub
from hub.config import HubConfig
from node.cli import main as node
from node.config import NodeConfig
from sync import settings

PATH = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
HEAD = """# Reference

Written from the code by `python -m tests.reference`; a test fails while it differs.

* Exit codes: [CONTRIBUTING](../CONTRIBUTING.md#exit-codes).
* Routes of the portal: [node/portal/README](../node/portal/README.md).
* Metrics: the table at the head of `hub/metrics.py`; on a node, the help lines of `/metrics`.
"""


def text() -> str:
    """The whole document."""
    parts = [HEAD]
    for name, program, config in (
        ("chaski-hub", hub, HubConfig),
        ("chaski-node", node, NodeConfig),
    ):
        parts += [f"\n## {name}\n", *commands(name, program), *keys(name, config)]
    return "\n".join(parts).rstrip() + "\n"


def commands(name: str, program: click.Group) -> Iterator[str]:
    """The table of commands."""
    yield "| command | options | does |"
    yield "|---|---|---|"
    for path, command in leaves(program, name):
        arguments = [p.make_metavar(click.Context(command)) for p in command.params
                     if isinstance(p, click.Argument)]  # fmt: skip
        options = [p.opts[-1] for p in command.params if isinstance(p, click.Option)]
        usage = " ".join([path, *arguments]).replace("|", "\\|")
        about = (command.help or "").split("\n\n")[0].replace("\n", " ")
        yield f"| `{usage}` | {' '.join(f'`{o}`' for o in options)} | {about} |"
    yield ""


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in sorted(command.commands):
        yield from leaves(command.commands[name], f"{path} {name}")


def keys(name: str, config: type[msgspec.Struct]) -> Iterator[str]:
    """The table of configuration keys."""
    prefix = name.replace("-", "_").upper()
    yield f"Configuration keys of {name} (in the TOML file, or `{prefix}__TABLE__KEY`):\n"
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for key in settings.describe(config):
        yield f"| `{key.name}` | `{key.default}` | {key.description} |"
    yield ""


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
