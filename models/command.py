"""Running a builder's command: a ModelError becomes one line on stderr and its exit code."""

import sys

import click

from models.errors import ModelError


def run(command: click.Command) -> None:
    """Run `command` with the process's arguments and exit."""
    try:
        command()
    except ModelError as error:
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)
