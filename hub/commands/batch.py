"""batch: many completions from a file."""

import time
from pathlib import Path

import click

from hub import batch as batches
from hub.commands.console import bar, json_option, pass_office, print_json, say
from hub.office import Office


@click.command()
@click.argument("requests", type=click.Path(path_type=Path))
@click.argument("answers", type=click.Path(path_type=Path))
@json_option
@pass_office
def batch(office: Office, requests: Path, answers: Path, as_json: bool) -> None:
    """Write the completions that REQUESTS asks for to the file ANSWERS.

    Both are JSON lines in OpenAI's batch form. Interrupted, the same command goes on where it
    stopped.
    """
    found = batches.lines(requests)
    with bar("completions", len(found)) as progress:
        summary = batches.run(
            found,
            answers,
            office.engine,
            time.time,
            lambda done, _: progress.update(progress.task_ids[0], completed=done),
        )
    if as_json:
        print_json(summary)
        return
    before = f", {summary.held} were there" if summary.held else ""
    refused = f", {summary.refused} could not be asked" if summary.refused else ""
    say(f"{summary.written} answered{before}{refused}; {summary.tokens:,} tokens in {answers}")
