"""What the programs can do and what docs/reference.md says are one thing."""

from hub.config import HubConfig
from node.config import NodeConfig
from sync import settings
from tests import reference


def test_the_reference_lists_every_command_option_and_key_as_they_are() -> None:
    written = reference.PATH.read_text(encoding="utf-8")
    assert written == reference.text(), "write it anew: python -m tests.reference"


def test_every_configuration_key_says_what_it_is() -> None:
    silent = [
        key.name
        for config in (HubConfig, NodeConfig)
        for key in settings.describe(config)
        if not key.description
    ]
    assert silent == []
