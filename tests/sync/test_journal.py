"""The journal: whatever happened to the file, sound chunks count and nothing else does."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.bundle import Offer, offer_to_bytes
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.journal import Download, Journal
from tests.sync.world import noise

CHUNK = 100
BUNDLE = noise(1, 730)


def offered(data: bytes = BUNDLE, chunk: int = CHUNK) -> Offer:
    """An offer of `data`; its target does not matter here."""
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    chunks = tuple(map(digest, pieces)) if len(pieces) > 1 else ()
    return Offer("escuela", None, digest(b"x"), digest(data), len(data), 0, 0, 1, chunk, chunks)


def chunk(number: int, data: bytes = BUNDLE) -> bytes:
    return data[number * CHUNK : (number + 1) * CHUNK]


def part(folder: Path) -> Path:
    return folder / f"{digest(BUNDLE)}.part"


def finish(download: Download, data: bytes = BUNDLE) -> int:
    """Fetches all that is wanted, as a road without faults; returns how many bytes that took."""
    fetched = 0
    while span := download.wanted():
        start, stop = span
        fetched += stop - start
        download.feed(start, data[start:stop])
    assert download.complete().read_bytes() == data
    return fetched


def test_a_bundle_arrives_in_any_order(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    for number in (3, 7, 0, 1, 5):
        download.write(number, chunk(number))
    assert download.missing() == (range(2, 3), range(4, 5), range(6, 7))
    assert download.wanted() == (200, 300)
    assert download.bytes_arrived == 430
    for number in (6, 2, 4):
        download.write(number, chunk(number))
    assert download.missing() == ()
    assert download.wanted() is None
    assert download.complete().read_bytes() == BUNDLE


def test_another_process_finds_what_arrived(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    download.write(1, chunk(1))
    download.write(4, chunk(4))
    again = Journal(tmp_path).open(offered())
    assert again.missing() == (range(1), range(2, 4), range(5, 8))
    assert Journal(tmp_path).held() == {digest(BUNDLE): 500}
    finish(again)


@pytest.mark.fault(5, "a download at any byte")
def test_a_download_cut_at_any_byte_resumes_there(tmp_path: Path) -> None:
    edges = {at + near for at in range(0, 701, CHUNK) for near in (-1, 0, 1)} - {-1}
    for length in sorted(edges.union(range(0, len(BUNDLE), 13))):
        part(tmp_path).write_bytes(BUNDLE[:length])
        download = Journal(tmp_path).open(offered())
        assert download.bytes_arrived == length // CHUNK * CHUNK
        assert finish(download) == len(BUNDLE) - length


@pytest.mark.parametrize("length", [1, 99, 100, 150, 700, 729])
def test_a_tail_that_the_power_cut_garbled_costs_its_chunk(tmp_path: Path, length: int) -> None:
    """The length reached the disk, the bytes did not: a filesystem shows zeros."""
    part(tmp_path).write_bytes(BUNDLE[: length // CHUNK * CHUNK] + bytes(length % CHUNK))
    download = Journal(tmp_path).open(offered())
    while span := download.wanted():
        start, stop = span
        try:
            download.feed(start, BUNDLE[start:stop])
        except ContentError as error:
            assert f"chunk {length // CHUNK}" in str(error)  # noqa: PT017
    assert download.complete().read_bytes() == BUNDLE


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=900))
def test_any_file_in_the_place_of_a_download_is_mended(rubbish: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        part(Path(name)).write_bytes(rubbish)
        download = Journal(Path(name)).open(offered())
        for _ in range(3):
            while span := download.wanted():
                try:
                    download.feed(span[0], BUNDLE[span[0] : span[1]])
                except ContentError:
                    break
        assert download.complete().read_bytes() == BUNDLE


@pytest.mark.fault(4, "in a chunk on the disk")
@pytest.mark.parametrize("at", [0, 99, 100, 350, 729])
def test_a_byte_that_rotted_costs_its_chunk_only(tmp_path: Path, at: int) -> None:
    finish(Journal(tmp_path).open(offered()))
    damaged = bytearray(BUNDLE)
    damaged[at] ^= 1
    part(tmp_path).write_bytes(damaged)
    download = Journal(tmp_path).open(offered())
    assert download.missing() == (range(at // CHUNK, at // CHUNK + 1),)
    finish(download)


def test_bytes_come_in_pieces_of_any_size(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    at = 0
    for size in (1, 98, 1, 1, 250, 99, 280):
        download.feed(at, BUNDLE[at : at + size])
        at += size
        assert download.bytes_arrived == (at if at == 730 else at // CHUNK * CHUNK)
    assert download.complete().read_bytes() == BUNDLE


def test_a_part_of_a_chunk_is_kept_for_the_next_process(tmp_path: Path) -> None:
    Journal(tmp_path).open(offered()).feed(0, BUNDLE[:155])
    assert Journal(tmp_path).open(offered()).wanted() == (155, 730)


def test_a_part_in_the_middle_is_asked_for_by_itself(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    assert download.cost(330, 410) == 110
    assert download.wanted(330, 410) == (300, 410)
    download.feed(300, BUNDLE[300:410])
    assert download.wanted(330, 410) is None
    assert download.cost(330, 410) == 0
    assert download.wanted(405, 480) == (410, 480)
    assert download.wanted() == (0, 300)
    assert download.cost(0, 10**9) == 730 - 110
    finish(download)


def test_parts_of_chunks_anywhere_are_kept_for_the_next_process(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    download.feed(300, BUNDLE[300:355])
    download.feed(600, BUNDLE[600:610])
    again = Journal(tmp_path).open(offered())
    assert again.cost(0, 730) == 730 - 65
    assert again.wanted(300) == (355, 600)
    finish(again)


def test_holes_that_are_taken_for_bytes_cost_their_chunk_only(tmp_path: Path) -> None:
    data = bytearray(BUNDLE)
    data[340:400] = bytes(60)
    part(tmp_path).write_bytes(data)
    download = Journal(tmp_path).open(offered())
    assert download.wanted() == (340, 400)
    download.feed(340, BUNDLE[340:400])
    assert download.wanted() is None
    data[330] ^= 1  # and what looks begun is wrong
    part(tmp_path).write_bytes(data)
    download = Journal(tmp_path).open(offered())
    with pytest.raises(ContentError, match="chunk 3"):
        download.feed(340, BUNDLE[340:400])
    assert Journal(tmp_path).open(offered()).wanted() == (300, 400)


def test_what_the_objects_must_be_is_kept_beside_and_forgotten_with_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.open(offered()).noted() is None
    journal.open(offered()).note(b"digests")
    assert journal.open(offered()).noted() == b"digests"
    journal.open(offered()).discard()
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_a_chunk_gives_way_to_the_whole_chunk(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    download.feed(0, BUNDLE[:55])
    download.write(0, chunk(0))
    assert download.wanted() == (100, 730)


def test_a_false_chunk_is_refused_and_leaves_no_mark(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    with pytest.raises(ContentError, match="chunk 2 is not the one announced"):
        download.write(2, chunk(3))
    with pytest.raises(ContentError, match="no chunk 8"):
        download.write(8, b"")
    with pytest.raises(ContentError, match="no chunk -1"):
        download.write(-1, b"")
    download.feed(0, BUNDLE[:100])
    with pytest.raises(ContentError, match="chunk 1 is not the one announced"):
        download.feed(100, bytes(630))
    assert download.wanted() == (100, 730)


@pytest.mark.parametrize("start", [1, 50, 101, 800])
def test_bytes_that_were_not_asked_for_are_refused(tmp_path: Path, start: int) -> None:
    with pytest.raises(ContentError, match="not asked for"):
        Journal(tmp_path).open(offered()).feed(start, b"x")


@pytest.mark.fault(17, "a bundle longer than offered")
def test_more_bytes_than_the_bundle_has_are_refused(tmp_path: Path) -> None:
    download = Journal(tmp_path).open(offered())
    with pytest.raises(ContentError, match="bytes at 730 were not asked for"):
        download.feed(0, BUNDLE + b"more")
    assert download.complete().read_bytes() == BUNDLE


def test_a_bundle_that_is_not_whole_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="8 chunks have not arrived"):
        Journal(tmp_path).open(offered()).complete()


@pytest.mark.fault(8, "the chunks of two bundles")
def test_an_offer_whose_chunks_are_of_another_bundle_is_found_at_the_end(tmp_path: Path) -> None:
    other = noise(2, 730)
    false = msgspec.structs.replace(offered(), chunks=offered(other).chunks)
    download = Journal(tmp_path).open(false)
    for number in range(8):
        download.write(number, chunk(number, other))
    with pytest.raises(ContentError, match="not together"):
        download.complete()
    assert list(tmp_path.iterdir()) == []
    assert download.missing() == (range(8),)


def test_an_offer_cut_otherwise_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    Journal(tmp_path).open(offered()).feed(0, BUNDLE[:420])
    assert finish(Journal(tmp_path).open(offered(chunk=150))) == 730 - 420


def test_old_downloads_are_dropped_and_the_current_one_never(tmp_path: Path) -> None:
    journal = Journal(tmp_path, keep=2)
    offers = [offered(noise(n, 300)) for n in range(4)]
    for age, offer in enumerate(offers[:3]):
        journal.open(offer)
        os.utime(tmp_path / f"{offer.bundle}.part", ns=(age + 2**61, age + 2**61))
    journal.open(offers[3])  # its clock says 1970 or today: older than the others
    assert set(journal.held()) == {offers[2].bundle, offers[3].bundle}
    journal.discard(offers[3].bundle)
    journal.discard(offers[3].bundle)
    assert set(journal.held()) == {offers[2].bundle}


def test_a_name_that_is_no_digest_opens_nothing(tmp_path: Path) -> None:
    bad = Offer("escuela", None, digest(b"x"), Digest("../x"), 1, 0, 0, 1, 100)
    with pytest.raises(ContentError):
        Journal(tmp_path).open(bad)


KILLED = """
import sys
from pathlib import Path
from sync.bundle import offer_from_bytes
from sync.journal import Journal
from tests.sync.world import noise

download = Journal(Path(sys.argv[1])).open(offer_from_bytes(bytes.fromhex(sys.argv[2])))
while span := download.wanted():
    at = span[0]
    download.feed(at, noise(1, 730)[at : at + 37])
    print(at, flush=True)
"""


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_a_process_killed_while_it_downloads_loses_less_than_a_chunk(
    tmp_path: Path, root: Path, after: int
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), offer_to_bytes(offered()).hex()]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        reached = 0
        for _ in range(after + 1):
            reached = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    download = Journal(tmp_path).open(offered())
    assert download.bytes_arrived >= reached // CHUNK * CHUNK
    finish(download)
