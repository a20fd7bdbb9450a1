"""`make demo`: a hub in the city and a node in a village, from nothing to a delivered lesson.

Two programs run as two processes, each from its own configuration file, with the shipped
models and the sample library. Every step is checked by looking at what a person would see:
what a command printed, what a page shows. `--once` ends after the last step with 0 or 1.
"""

import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
from programs import DemoError
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from story import Village

ROOT = Path(__file__).resolve().parents[2]
MARKER = ".chaski-demo"
console = Console()


def fresh(folder: Path) -> Path:
    """`folder`, empty. Refuses to empty a folder that no demo made."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise DemoError(f"{folder} holds something that is not a demo's; choose another --data")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder


def play(village: Village) -> tuple[Table, bool]:
    """Run every step in order; the table of what was seen, and whether all went well."""
    table = Table(title="Chaski: from the city to the village", title_justify="left")
    for column in ("step", "what was seen"):
        table.add_column(column, overflow="fold")
    table.add_column("s", justify="right")
    table.add_column("")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(village.steps))
        for title, step in village.steps:
            progress.update(task, description=title)
            started = time.monotonic()
            seen, well = attempt(step)
            mark = "[green]ok[/]" if well else "[red]failed[/]"
            table.add_row(title, seen, f"{time.monotonic() - started:.1f}", mark)
            console.print(f"{mark} {title}: {seen}", highlight=False)
            if not well:
                return table, False
            progress.advance(task)
    return table, True


def attempt(step: Callable[[], str]) -> tuple[str, bool]:
    """What the step saw, or what went wrong."""
    try:
        return step(), True
    except DemoError as error:
        return str(error).replace("[", "\\["), False


def invitation(village: Village) -> Panel:
    """What to try, with addresses."""
    return Panel(
        f"Portal of the village school   [bold]{village.portal}[/]\n"
        f"  ask it      {village.portal}/preguntar?q=%C2%BFQu%C3%A9+es+la+fotos%C3%ADntesis%3F\n"
        f"  health      {village.portal}/salud\n"
        f"Studio of the hub              [bold]{village.hub}[/]\n"
        f"  sign in as  editor / {village.password}\n"
        f"Configuration, databases and logs are in {village.folder}.\n"
        "Stop both with Ctrl-C.",
        title="Try it",
        title_align="left",
    )


@click.command()
@click.option("--once", is_flag=True, help="Check every step, print the table, exit 0 or 1.")
@click.option("--data", type=click.Path(path_type=Path), default=ROOT / "demo-data")
@click.option("--hub-port", default=8080, show_default=True)
@click.option("--node-port", default=8000, show_default=True)
def main(once: bool, data: Path, hub_port: int, node_port: int) -> None:
    """Run a hub and a village node, and deliver lessons from one to the other."""
    started = time.monotonic()
    for ending in (signal.SIGINT, signal.SIGTERM):  # also when started in the background
        signal.signal(ending, signal.default_int_handler)
    try:
        village = Village(ROOT, fresh(data), hub_port, node_port)
    except DemoError as error:
        console.print(f"[red]error:[/] {error}")
        sys.exit(1)
    well = False
    try:
        table, well = play(village)
        console.print(table)
        console.print(f"{time.monotonic() - started:.0f} s in all")
        if well and not once:
            console.print(invitation(village))
            village.watch()
    except KeyboardInterrupt:
        console.print("stopping …")
    finally:
        stopped = village.stop()
    sys.exit(0 if well and stopped else 1)


if __name__ == "__main__":
    main()
