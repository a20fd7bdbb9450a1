"""How fast, and when, a road may be used."""

from collections.abc import AsyncGenerator

import pytest

from sync.bundle.offer import Offer
from sync.canonical import Digest, digest
from sync.errors import SettingsError
from sync.transport import gathered
from sync.transport.limited import BURST_S, RateLimited
from sync.transport.rationed import SLICE_BYTES, Rationed, SpentError
from sync.transport.windowed import ClosedError, Window, Windowed, minute_of_day, window

BUNDLE = digest(b"bundle")


class Time:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Plain:
    """A source of as many bytes as are asked for, in pieces of a hundred."""

    def __init__(self) -> None:
        self.given = 0

    async def head(self, channel: str) -> bytes:
        return b"h" * 300

    async def root(self, number: int) -> bytes | None:
        return None

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        return None

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        return None

    async def object(self, name: Digest) -> bytes:
        return b"o" * 1000

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        while start < stop:
            size = min(100, stop - start)
            start += size
            self.given += size
            yield b"x" * size


@pytest.mark.parametrize("rate", [50.0, 1000.0, 4000.0])
async def test_a_download_takes_as_long_as_the_rate_says(rate: float) -> None:
    time = Time()
    slow = RateLimited(Plain(), rate, clock=time.clock, sleep=time.sleep)
    assert len(await slow.chunk_range(BUNDLE, 0, 10_000)) == 10_000
    assert time.now - 1000 == pytest.approx(10_000 / rate, abs=BURST_S + 0.1)


async def test_a_pause_is_not_saved_up_for_long() -> None:
    time = Time()
    slow = RateLimited(Plain(), 100, clock=time.clock, sleep=time.sleep)
    time.now += 3600
    before = time.now
    await slow.chunk_range(BUNDLE, 0, 1000)
    assert time.now - before >= 10 - BURST_S


async def test_small_answers_do_not_wait_but_count() -> None:
    time = Time()
    slow = RateLimited(Plain(), 100, clock=time.clock, sleep=time.sleep)
    await slow.head("escuela")
    assert time.now == 1000
    await slow.object(BUNDLE)
    assert time.now == pytest.approx(1003, abs=BURST_S)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-06:00", [22 * 60, 0, 5 * 60 + 59], [6 * 60, 12 * 60, 21 * 60 + 59]),
        ("01:30-02:00", [90, 119], [89, 120, 0]),
        ("00:00-00:00", [0, 720, 1439], []),
    ],
)
def test_a_window_is_open_from_its_first_minute_up_to_its_last(
    text: str, inside: list[int], outside: list[int]
) -> None:
    one = window(text)
    assert all(one.open(minute) for minute in inside)
    assert not any(one.open(minute) for minute in outside)


@pytest.mark.parametrize("text", ["", "22-06", "24:00-06:00", "22:00-06:60", "22:00-06:00 "])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not a window"):
        window(text)


async def test_outside_its_windows_a_road_is_closed_and_says_until_when() -> None:
    plain = Plain()
    road = Windowed(plain, [window("22:00-06:00"), window("12:30-13:00")], lambda: 7 * 60)
    for ask in (
        road.head("escuela"), road.root(1), road.offer("escuela", None, BUNDLE),
        road.object(BUNDLE), road.chunk_range(BUNDLE, 0, 10),
    ):  # fmt: skip
        with pytest.raises(ClosedError, match="opens at 12:30"):
            await ask
    assert plain.given == 0


async def test_a_window_that_closes_ends_a_download_at_the_next_piece() -> None:
    minutes = iter([359, 359, 359, 360])
    road = Windowed(Plain(), [Window(0, 360)], lambda: next(minutes))
    pieces = road.chunks(BUNDLE, 0, 1000)
    assert [len(await anext(pieces)) for _ in range(3)] == [100, 100, 100]
    with pytest.raises(ClosedError, match="opens at 00:00"):
        await anext(pieces)


def test_the_minute_of_the_day_is_of_the_day() -> None:
    assert 0 <= minute_of_day(1_772_000_000) < 24 * 60
    assert (minute_of_day(1_772_000_060) - minute_of_day(1_772_000_000)) % 1440 == 1


# The allowance of a day


class Purse:
    """What may still come; `written` is what a power cut would find."""

    def __init__(self, size: int) -> None:
        self.size, self.written = size, 0

    def left(self) -> int:
        return max(0, self.size - self.written)

    def spend(self, size: int) -> None:
        self.written += size


async def test_a_bundle_is_cut_to_what_is_left_and_the_rest_refused() -> None:
    purse, plain = Purse(1000), Plain()
    road = Rationed(plain, purse)
    with pytest.raises(SpentError, match="used up"):
        await gathered(road.chunks(BUNDLE, 0, 5000))
    assert (plain.given, purse.written) == (1000, 1000)
    for question in (road.offer("escuela", None, BUNDLE), road.object(BUNDLE)):
        with pytest.raises(SpentError):
            await question
    with pytest.raises(SpentError):
        await road.chunk_range(BUNDLE, 0, 1)
    assert plain.given == 1000


async def test_what_comes_is_written_down_before_and_given_back_when_it_did_not_come() -> None:
    purse = Purse(10**6)
    pieces = Rationed(Plain(), purse).chunks(BUNDLE, 0, 300_000)
    got = 0
    async for piece in pieces:
        got += len(piece)
        assert got <= purse.written <= got + SLICE_BYTES
        if got == 150_000:
            break
    await pieces.aclose()
    assert purse.written == 150_000


async def test_heads_pass_when_nothing_is_left_and_count_once_while_they_are_the_same() -> None:
    purse = Purse(500)
    road = Rationed(Plain(), purse)
    for _ in range(4):
        assert len(await road.head("escuela")) == 300
    assert await road.root(2) is None
    with pytest.raises(SpentError):
        await road.chunk_range(BUNDLE, 0, 400)
    assert purse.written == 500
    assert len(await road.head("escuela")) == 300
