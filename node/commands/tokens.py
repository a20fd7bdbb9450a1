"""Tokens: `tokens create|list|revoke`. All work beside a node that serves."""

import time
from pathlib import Path

import click

from node.api.app import TOKENS
from node.api.tokens import Tokens
from node.desk import Desk, pass_desk
from node.folder import DataFolder
from sync.verdict import day


@click.group()
def tokens() -> None:
    """Who may use the model through /v1, as OpenAI's clients do."""


@tokens.command()
@click.argument("name")
@pass_desk
def create(desk: Desk, name: str) -> None:
    """Make the token NAME and show it, this once."""
    click.echo(_tokens(desk).make(name, time.time()))
    click.echo("keep it: it is not shown again", err=True)


@tokens.command("list")
@pass_desk
def list_(desk: Desk) -> None:
    """The names of the tokens, oldest first."""
    held = _tokens(desk).all()
    for token in held:
        click.echo(f"{token.name}  made {day(token.made)}")
    if not held:
        click.echo("no token: nobody may use /v1")


@tokens.command()
@click.argument("name")
@pass_desk
def revoke(desk: Desk, name: str) -> None:
    """Take the token NAME back, at once."""
    _tokens(desk).revoke(name)
    click.echo(f"{name} is revoked")


def _tokens(desk: Desk) -> Tokens:
    return Tokens(DataFolder(Path(desk.config().node.data)).path / TOKENS)
