"""Who a block is from, and that nobody changed it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import ContentError, SettingsError
from sync.events import EventBlock, decode_events, encode_events, event
from sync.identity import NodeKey, SignedSink, verify
from sync.parcel import from_bytes
from sync.samples import decode_block, encode_block
from sync.seal import is_signed
from tests.hub_web.reports import samples

BLOCK = encode_events(EventBlock("n", "e", 1, (event("lesson_opened", 0, {"lesson": "suma"}),)))
KEY, OTHER = NodeKey.create(), NodeKey.create()
SIGNED = KEY.sign(BLOCK)


class Kept:
    """A sink that keeps."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    async def samples(self, block: bytes) -> bool:
        self.blocks.append(block)
        return True

    async def events(self, block: bytes) -> bool:
        self.blocks.append(block)
        return True


def test_a_signed_block_says_the_same_and_bears_its_nodes_name() -> None:
    assert decode_events(SIGNED) == decode_events(BLOCK)
    assert (is_signed(SIGNED), is_signed(BLOCK)) == (True, False)
    assert KEY.sign(BLOCK) == SIGNED
    verify(SIGNED, KEY.public)


@pytest.mark.parametrize("block", [BLOCK, OTHER.sign(BLOCK), b"", b"CHE2" + bytes(80)])
def test_a_block_without_the_right_signature_is_refused(block: bytes) -> None:
    with pytest.raises(ContentError, match="signature of its node"):
        verify(block, KEY.public)


def test_a_signature_does_not_serve_for_another_kind_or_text() -> None:
    more = encode_events(EventBlock("n", "e", 2, ()))
    moved = more[:4] + SIGNED[4:72] + more[8:]
    with pytest.raises(ContentError):
        verify(b"CHE2" + moved[4:], KEY.public)
    with pytest.raises(ContentError):
        verify(b"CHS2" + SIGNED[4:], KEY.public)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_any_change_to_a_signed_block_is_found(place: int, change: int) -> None:
    damaged = bytearray(SIGNED)
    damaged[place] ^= change
    with pytest.raises(ContentError):
        decode_events(bytes(damaged))


@given(st.integers(0, len(SIGNED) - 1))
def test_a_signed_block_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ContentError):
        decode_events(SIGNED[:length])


async def test_a_sink_signs_events_and_samples_alike() -> None:
    kept = Kept()
    sink = SignedSink(kept, KEY)
    await sink.events(BLOCK)
    await sink.samples(samples(0))
    for block in kept.blocks:
        verify(block, KEY.public)
    assert encode_block(decode_block(kept.blocks[1])) == samples(0)


def test_a_key_comes_back_from_its_file_and_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    with pytest.raises(SettingsError, match="cannot be read"):
        NodeKey.read(path)
    path.write_bytes(KEY.pem)
    assert NodeKey.read(path).public == KEY.public
    path.write_bytes(b"-----BEGIN RUBBISH-----")
    with pytest.raises(SettingsError, match="no Ed25519 key"):
        NodeKey.read(path)


def test_a_golden_signed_block_and_parcel_are_read(root: Path) -> None:
    golden = root / "tests" / "vectors" / "blocks-2"
    key = NodeKey.read(golden / "node.pem")
    block = (golden / "events.block").read_bytes()
    verify(block, key.public)
    told = decode_events(block)
    assert (told.node, told.seq, told.events[0].kind) == ("ccatca-1", 9, "learned")
    assert key.sign(encode_events(told)) == block
    cover = from_bytes((golden / "lesson.parcel").read_bytes()).cover
    assert (cover.title, cover.files[0].kind) == ("El ayni", "jpeg")
