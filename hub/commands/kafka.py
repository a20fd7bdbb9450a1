"""announce: say on Kafka what is published. `publish` does it too, where Kafka is set up."""

import click

from hub import herald
from hub.announcer import Announced
from hub.commands.console import json_option, pass_office, print_json, say, size
from hub.office import Office
from sync.errors import SettingsError


@click.command()
@json_option
@pass_office
def announce(office: Office, as_json: bool) -> None:
    """Announce the published version on Kafka; makes the topics if they are missing."""
    if not office.config.kafka.bootstrap:
        raise SettingsError(
            "kafka.bootstrap is empty", hint="set it to the brokers' host:port in hub.toml"
        )
    done = herald.announce(office.config, office.library, office.shelf)
    if as_json:
        print_json(done)
    else:
        say(told(done))


def told(done: Announced) -> str:
    """An announcement in a line."""
    return (
        f"announced on Kafka: {done.channel}, {size(done.bytes)}, with {done.inline} bundles"
        f" of {size(done.inline_bytes)} in all"
    )
