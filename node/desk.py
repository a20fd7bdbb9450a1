"""Desk: what the commands of the node share: where the settings are."""

import os
from dataclasses import dataclass
from pathlib import Path

import click

from node import config as settings
from node.config import NodeConfig


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the settings are. They are read when a command runs."""

    path: Path | None

    def config(self) -> NodeConfig:
        """The settings. Raises SettingsError."""
        return settings.load(self.path, os.environ)


pass_desk = click.make_pass_decorator(Desk)
language_option = click.option(
    "--language", type=click.Choice(("es", "qu", "en")), help="Else the node's own."
)
