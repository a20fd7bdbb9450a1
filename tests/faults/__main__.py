"""Writes docs/faults.md anew and prints it: `python -m tests.faults`."""

import click

from tests.faults.matrix import PATH, text

if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    click.echo(text())
