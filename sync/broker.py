"""Broker: how hub and nodes reach one Kafka cluster, and what its topics are called.

Both programs read the same table `[kafka]`; an empty `bootstrap` leaves this road out.
The library behind it stands in `sync/transport/kafka.py` alone.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

ANNOUNCEMENTS, BUNDLES, UP, ANSWERS = "announcements", "bundles", "up", "answers"
"""The topics, each after the prefix and a dot."""


class BrokerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[kafka]`: the broker, and how it is entered."""

    bootstrap: Annotated[
        str,
        Meta(
            pattern=r"^([^\s,]+:[0-9]{1,5}(,[^\s,]+:[0-9]{1,5})*)?$",
            description="brokers as host:port, with commas between; empty: Kafka is not used",
        ),
    ] = ""
    prefix: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$",
            max_length=80,
            description="what the names of the topics begin with",
        ),
    ] = "chaski"
    tls: Annotated[bool, Meta(description="talk to the broker over TLS")] = False
    ca_file: Annotated[
        str, Meta(description="certificates that may vouch for the broker; empty: the system's")
    ] = ""
    username: Annotated[
        str, Meta(max_length=200, description="user of the broker (SASL); empty: none")
    ] = ""
    password_file: Annotated[str, Meta(description="file with the user's password")] = ""
    mechanism: Annotated[
        Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"],
        Meta(description="how the password is shown; PLAIN only over TLS"),
    ] = "SCRAM-SHA-256"
    proxy: Annotated[
        str,
        Meta(
            pattern=r"^((http|socks5)://[^\s]+)?$",
            description="proxy on the way, http:// (CONNECT) or socks5://; empty: none",
        ),
    ] = ""
    timeout_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="seconds without any answer that end an attempt")
    ] = 30.0

    def topic(self, name: str) -> str:
        """The full name of one of the topics above."""
        return f"{self.prefix}.{name}"


B = TypeVar("B", bound=BrokerTable)


def rooted(table: B, home: Path) -> B:
    """`table` with its paths absolute; relative ones begin at `home`."""
    return msgspec.structs.replace(
        table,
        ca_file=str(home / table.ca_file) if table.ca_file else "",
        password_file=str(home / table.password_file) if table.password_file else "",
    )
