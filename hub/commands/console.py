"""What the commands share: the office as click carries it, and how they speak.

* stdout carries the answer, stderr the progress, so that `--json` can be piped.
* `--json` prints one JSON value and nothing else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import click
import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from hub.office import Office
from sync.lesson import Grade, Language

GRADES: tuple[Grade, ...] = get_args(Grade)
LANGUAGES: tuple[Language, ...] = get_args(Language)

out = Console()
progress_console = Console(stderr=True)
pass_office = click.make_pass_decorator(Office)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
language_argument = click.argument("language", type=click.Choice(LANGUAGES))
editor_option = click.option(
    "--editor", "--approver", "editor", required=True, metavar="NAME", help="Who decides."
)


def say(line: str) -> None:
    """Prints a line as it is: not wrapped, no markup."""
    out.print(line, soft_wrap=True, markup=False, highlight=False)


def print_json(value: object) -> None:
    """Prints `value` as one line of JSON."""
    click.echo(msgspec.json.encode(value).decode())


def table(title: str, *columns: str) -> Table:
    """An empty table; columns that begin with > hold numbers. Cells are rich markup.

    The first column names the row: it is never cut, so that it can be copied.
    """
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(
            column.lstrip(">"),
            justify="right" if column[0] == ">" else "left",
            no_wrap=not made.columns,
        )
    return made


def size(count: int) -> str:
    """Bytes as a person reads them."""
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1e3:,.0f} kB" if count < 10_000_000 else f"{count / 1e6:,.1f} MB"


@contextmanager
def bar(description: str, total: int) -> Iterator[Progress]:
    """A progress bar on stderr with one task, number 0."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=progress_console, transient=True) as progress:
        progress.add_task(description, total=total)
        yield progress
