"""What the hub says of the blocks that it has, and who may say it."""

from pathlib import Path

import msgspec
import pytest

from sync import acks, keys
from sync.canonical import encode
from sync.errors import ContentError, TrustError
from sync.signing import Publisher
from sync.trust import Floors, TrustedState

NOW = 1_772_000_000


@pytest.fixture
def signing(tmp_path: Path) -> Publisher:
    keys.create(tmp_path / "keys")
    return Publisher(tmp_path / "keys")


@pytest.fixture
def state(signing: Publisher) -> TrustedState:
    return TrustedState(signing.create_root(NOW), Floors())


def said() -> acks.Acks:
    blocks = [("puno", "e1", seq) for seq in (7, 3, 4, 5)] + [("cusco", "e2", 1)]
    return acks.acks("escuela", NOW, blocks)


def test_numbers_become_ranges_and_each_block_is_known_by_all_of_its_name() -> None:
    told = said()
    assert told.nodes["puno"] == {"e1": ((3, 5), (7, 7))}
    assert [told.has("puno", "e1", seq) for seq in (2, 3, 5, 6, 7, 8)] == [
        False, True, True, False, True, False,
    ]  # fmt: skip
    assert not told.has("puno", "e2", 3)
    assert not told.has("juliaca", "e1", 3)


def test_it_is_bounded_and_the_newest_counts() -> None:
    many = acks.acks("escuela", NOW, [("puno", f"e{n}", 1) for n in range(acks.MAX_EPOCHS + 5)])
    assert many.has("puno", "e0", 1)
    assert len(many.nodes["puno"]) == acks.MAX_EPOCHS
    odd = acks.acks("escuela", NOW, [("puno", "e", 2 * n) for n in range(acks.MAX_RANGES + 5)])
    assert odd.has("puno", "e", 2 * (acks.MAX_RANGES + 4))
    assert not odd.has("puno", "e", 0)


def test_what_the_hub_signed_is_believed(signing: Publisher, state: TrustedState) -> None:
    assert acks.from_bytes(acks.to_bytes(said(), signing), state) == said()


def test_what_anybody_else_signed_or_changed_is_not(
    signing: Publisher, state: TrustedState, tmp_path: Path
) -> None:
    keys.create(tmp_path / "thief")
    with pytest.raises(TrustError):
        acks.from_bytes(acks.to_bytes(said(), Publisher(tmp_path / "thief")), state)
    told = msgspec.json.decode(acks.to_bytes(said(), signing))
    [(keyid, signature)] = told["signatures"].items()
    for signatures in ({}, {keyid: ""}, {keyid: "zz"}, {keyid: signature[:-2]}, {"x": signature}):
        with pytest.raises(TrustError):
            acks.from_bytes(encode(told | {"signatures": signatures}), state)
    told["acks"]["nodes"]["puno"]["e1"] = [[0, 99]]
    with pytest.raises(TrustError):
        acks.from_bytes(encode(told), state)
    # The same words signed by another role, or without our prefix, are no acknowledgement.
    for made in (signing.vouch("targets", acks.PREFIX + encode(said())),
                 signing.vouch("timestamp", encode(said()))):  # fmt: skip
        with pytest.raises(TrustError):
            acks.from_bytes(encode({"acks": said(), "signatures": made}), state)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"{" * 10_000, b" " * 9_000_000])
def test_what_is_no_such_file_is_a_content_error(state: TrustedState, data: bytes) -> None:
    with pytest.raises(ContentError):
        acks.from_bytes(data, state)
