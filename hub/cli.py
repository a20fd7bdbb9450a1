"""chaski-hub: the command line of the hub. Gathers the commands; each is in `hub/commands/`.

* Without `--config` the settings come from the environment alone (CHASKI_HUB__HUB__DATA=…).
* Errors end in one line, a hint and the exit code of CONTRIBUTING.md.
"""

import os
from pathlib import Path

import click

from hub import config as settings
from hub.commands import (
    batch,
    channel,
    content,
    files,
    fleet,
    kafka,
    keys,
    models,
    people,
    review,
    stick,
    upkeep,
    villages,
)
from hub.office import Office
from sync.exits import Program


@click.group(cls=Program)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="CHASKI_HUB_CONFIG",
    help="hub.toml; also from CHASKI_HUB_CONFIG.",
)
@click.version_option(package_name="chaski")
@click.pass_context
def main(context: click.Context, path: Path | None) -> None:
    """Make lessons, decide about them, publish them to villages."""
    context.obj = context.with_resource(Office(lambda: settings.load(path, os.environ)))


for command in (
    keys.keys,
    content.import_,
    review.generate,
    batch.batch,
    review.review,
    content.lesson,
    files.files,
    channel.publish,
    kafka.announce,
    stick.export_usb,
    stick.collect,
    upkeep.serve,
    channel.status,
    fleet.fleet,
    models.models,
    villages.learning,
    villages.reports,
    villages.missed,
    people.users,
    people.enrol,
    upkeep.selftest,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
