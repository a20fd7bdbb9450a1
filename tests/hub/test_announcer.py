"""What the hub says on Kafka, with records in memory."""

from pathlib import Path

import pytest

from hub.announcer import Announcer
from hub.config import HubConfig, load
from hub.config import KafkaTable as HubKafkaTable
from hub.library import Library
from sync import announcement
from sync.broker import ANNOUNCEMENTS, BUNDLES, BrokerTable
from sync.bundle.offer import offer_from_bytes
from sync.canonical import Digest, digest
from sync.errors import ContentError, SettingsError
from sync.head import head_to_bytes
from tests.hub.fakes import CHANNEL, Clock, a_lesson
from tests.hub.publishing import Hub

BROKER = BrokerTable("kafka:9092")


class Records:
    """Topics in memory. `gap` puts a stranger's record before every record."""

    def __init__(self, gap: bool = False) -> None:
        self.topics: dict[str, list[tuple[str, bytes]]] = {}
        self.gap = gap

    def put(self, topic: str, key: bytes, value: bytes) -> int:
        records = self.topics.setdefault(topic, [])
        if self.gap:
            records.append(("stranger", b""))
        records.append((key.decode(), value))
        return len(records) - 1


@pytest.fixture
def hub(tmp_path: Path, library: Library, clock: Clock) -> Hub:
    return Hub(tmp_path, library, clock)


def announcer(hub: Hub, inline_bytes: int = 900_000) -> Announcer:
    return Announcer(hub.library, hub.shelf, BROKER, CHANNEL.id, inline_bytes)


def published(hub: Hub, *titles: str) -> Digest:
    """The root of the last of some versions."""
    for title in titles:
        hub.write(a_lesson(title=title))
        root = hub.publisher().publish().root
    return root


def test_bundles_lie_in_a_row_before_the_announcement_names_them(hub: Hub) -> None:
    root = published(hub, "La papa", "La quinua", "El maíz")
    records = Records()
    said = announcer(hub).announce(records, root)
    [(key, value)] = records.topics[BROKER.topic(ANNOUNCEMENTS)]
    told = announcement.from_bytes(value)
    assert (key, len(value), said.inline) == (CHANNEL.id, said.bytes, 3)
    assert head_to_bytes(told.head) == hub.shelf.head(CHANNEL.id)
    assert [base for base, _ in told.bundles][-1] == "none"
    bundles = records.topics[BROKER.topic(BUNDLES)]
    for base, at in told.bundles:
        offer = offer_from_bytes(bundles[at][1])
        assert (offer.target, announcement.short(offer.base)) == (root, base)
        chunks = bundles[at + 1 : at + 1 + offer.chunk_count]
        assert [name for name, _ in chunks] == [
            f"{CHANNEL.id}/{base}/{n + 1}" for n in range(offer.chunk_count)
        ]
        assert digest(b"".join(data for _, data in chunks)) == offer.bundle


def test_what_is_too_large_or_does_not_lie_in_a_row_is_not_named(hub: Hub) -> None:
    root = published(hub, "La papa")
    assert announcer(hub, inline_bytes=10).announce(Records(), root).inline == 0
    assert announcer(hub).announce(Records(gap=True), root).inline == 0


def test_a_channel_that_is_not_published_cannot_be_announced(hub: Hub) -> None:
    with pytest.raises(ContentError, match="has no head"):
        announcer(hub).announce(Records(), digest(b""))


def test_the_settings_of_kafka_are_read_and_their_paths_made_absolute(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(
        '[hub]\ndata = "data"\n[kafka]\nbootstrap = "a:9092,b:9093"\npassword_file = "secret"\n'
    )
    config = load(path, {"CHASKI_HUB__KAFKA__INLINE_KILOBYTES": "10"})
    assert config.kafka.password_file == str(tmp_path / "secret")
    assert config.kafka.inline_kilobytes == 10
    assert config.kafka.topic(BUNDLES) == "chaski.bundles"
    assert HubConfig(config.hub).kafka.bootstrap == ""
    path.write_text('[hub]\ndata = "data"\n[kafka]\nbootstrap = "no port"\n')
    with pytest.raises(SettingsError, match="bootstrap"):
        load(path, {})


def test_every_key_of_kafka_is_documented(root: Path) -> None:
    text = (root / "docs" / "kafka.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    named = {
        (key, who)
        for row in rows
        for key in row[1].split("`")[1::2]
        for who in (2, 3)
        if row[who].strip()
    }
    hub, node = HubKafkaTable.__struct_fields__, BrokerTable.__struct_fields__
    assert named == {(key, 2) for key in hub} | {(key, 3) for key in node}
