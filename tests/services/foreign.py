"""A stranger who reads announcements by FORMAT.md alone.

It uses confluent-kafka, the standard library and cryptography, and nothing of ours: what it
knows of the formats it takes from the text of FORMAT.md.
"""

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WAIT_SECONDS = 30.0


def olpc(value: Any) -> str:
    """OLPC canonical JSON: sorted keys, no spaces, only quote and backslash escaped."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{olpc(k)}:{olpc(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(olpc, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return json.dumps(value)


class Stranger:
    """Reads one cluster. Close it."""

    def __init__(self, bootstrap: str, prefix: str, format_md: Path, **more: str) -> None:
        self.prefix = prefix
        said = format_md.read_text(encoding="utf-8").split("\n## Kafka\n")[1].split("\n## ")[0]
        indented = re.findall(r"^    (.*)$", said, flags=re.M)
        self.dictionary = "".join(indented).encode()
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "stranger",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                **more,
            }
        )

    def close(self) -> None:
        """Disconnects."""
        self.consumer.close()

    def records(self, topic: str, offset: int, count: int) -> list[tuple[bytes, bytes]]:
        """Keys and values of `count` records from `offset` on."""
        self.consumer.assign([TopicPartition(f"{self.prefix}.{topic}", 0, offset)])
        found: list[tuple[bytes, bytes]] = []
        while len(found) < count:
            message = self.consumer.poll(WAIT_SECONDS)
            assert message is not None, "the broker is silent"
            assert message.error() is None, message.error()
            found.append((message.key() or b"", message.value() or b""))
        return found

    def announcement(self, channel: str) -> dict[str, Any]:
        """The newest one of `channel`."""
        place = TopicPartition(f"{self.prefix}.announcements", 0)
        low, high = self.consumer.get_watermark_offsets(place, timeout=WAIT_SECONDS)
        newest = None
        self.consumer.assign([TopicPartition(place.topic, 0, low)])
        while self.consumer.position([place])[0].offset < high:
            message = self.consumer.poll(WAIT_SECONDS)
            assert message is not None, "the broker is silent"
            if message.key() == channel.encode():
                newest = message.value()
        assert newest is not None
        assert newest[0] == 1
        return dict(json.loads(zlib.decompressobj(zdict=self.dictionary).decompress(newest[1:])))

    def verified(self, head: dict[str, str], root: bytes, channel: str) -> dict[str, Any]:
        """The target that `head` states, once every signature and hash is right."""
        keys = json.loads(root)["signed"]
        parts = {}
        for role in ("timestamp", "snapshot", "targets"):
            parts[role] = self._signed(head[role], role, keys)
        for upper, lower in (("timestamp", "snapshot"), ("snapshot", "targets")):
            named = parts[upper]["meta"][f"{lower}.json"]
            text = head[lower].encode()
            assert named["length"] == len(text)
            assert named["hashes"] == {"sha256": hashlib.sha256(text).hexdigest()}
            assert named["version"] == parts[lower]["version"]
        return dict(parts["targets"]["targets"][channel])

    def _signed(self, text: str, role: str, keys: dict[str, Any]) -> dict[str, Any]:
        file = json.loads(text)
        wanted = keys["roles"][role]
        good = 0
        for signature in file["signatures"]:
            assert signature["keyid"] in wanted["keyids"]
            public = bytes.fromhex(keys["keys"][signature["keyid"]]["keyval"]["public"])
            Ed25519PublicKey.from_public_bytes(public).verify(
                bytes.fromhex(signature["sig"]), olpc(file["signed"]).encode()
            )
            good += 1
        assert good >= wanted["threshold"]
        return dict(file["signed"])
