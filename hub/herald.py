"""Herald: one announcement from the settings: connect, make the topics, announce, disconnect.

It knows the concrete broker, as `app.py` and `office.py` know the other concrete classes; the
library behind it is loaded only where Kafka is set up.
"""

import contextlib
import logging

from hub.announcer import Announced, Announcer
from hub.config import HubConfig
from hub.library import Library
from hub.publisher import published
from hub.shelf import Shelf
from sync.errors import ContentError, TransportError

log = logging.getLogger("chaski.hub")


def announce(config: HubConfig, library: Library, shelf: Shelf) -> Announced:
    """Announces what is published. Raises TransportError, SettingsError, ContentError."""
    from sync.transport.kafka import Producer, make_topics

    channel, broker = config.channel.id, config.kafka
    verdict = published(shelf, channel)
    if verdict is None:
        raise ContentError(
            f"channel {channel!r} is not published yet", hint="publish it: `chaski-hub publish`"
        )
    make_topics(broker, broker.replication)
    announcer = Announcer(library, shelf, broker, channel, broker.inline_kilobytes * 1000)
    with contextlib.closing(Producer(broker)) as producer:
        return announcer.announce(producer, verdict.root)


def after_publishing(config: HubConfig, library: Library, shelf: Shelf) -> Announced | None:
    """As `announce`, where Kafka is set up. The publication stands, also when this fails."""
    if not config.kafka.bootstrap:
        return None
    try:
        return announce(config, library, shelf)
    except TransportError as error:
        log.warning("published, but not announced: %s; `chaski-hub announce` tries again", error)
        return None
