"""What the node tells: figures, blocks, the spool, the way up."""

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from models.engine import EngineStats
from node.outcome import Outcome
from node.telemetry.clock import HARDWARE_CLOCK, NETWORK_TIME, Clock, Quality, host_quality
from node.telemetry.forwarder import Forwarded, Forwarder
from node.telemetry.metrics import Host, Metrics, Spooled, Tutoring, resident_bytes
from node.telemetry.recorder import Recorder
from node.telemetry.sampler import BLOCK_ROWS, Sampler
from node.telemetry.spool import MAX_REFUSALS, Depth, Sealed, Spool, SpoolKind, boot_id
from node.worker import Worker
from sync.errors import ContentError, TransportError
from sync.events import decode_events
from sync.samples import Block, decode_block
from sync.transport import RefusedError

NODE = "ocongate"
AT = 1_760_000_000.0
LIMIT = 100_000


@dataclass
class Station:
    """A registry, a spool and everything between them, at a time that is set."""

    path: Path
    limit: int = LIMIT
    boot: str = "boot-1"
    time: float = AT
    quality: Quality = "rtc"
    metrics: Metrics = field(init=False)
    clock: Clock = field(init=False)
    spool: Spool = field(init=False)
    sampler: Sampler = field(init=False)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self, boot: str = "boot-1") -> None:
        """A new process over the same spool file."""
        self.metrics = Metrics(CollectorRegistry())
        self.clock = Clock(0.0, lambda: self.time, lambda: self.quality)
        self.spool = Spool(self.path, self.limit, boot)
        self.sampler = Sampler(self.metrics.registry, self.spool, self.clock, NODE)
        self.recorder = Recorder(self.spool, self.metrics, self.clock, NODE)

    def sample(self, seconds: float = 60) -> None:
        """One reading; then time passes."""
        self.sampler.sample()
        self.time += seconds

    def blocks(self) -> list[Block]:
        """The sealed samples."""
        return [decode_block(block.data) for block in self.sealed("samples")]

    def sealed(self, kind: SpoolKind) -> list[Sealed]:
        return [b for seq in self.spool.waiting(kind) if (b := self.spool.block(seq))]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "spool.db")
    yield made
    made.spool.close()


def outcome(kind: str = "updated", **more: object) -> Outcome:
    fields = {
        "at": AT, "from_version": 1, "to_version": 2, "bytes_down": 500, "full_size": 9000,
        "seconds": 1.5, "message": "m", "offered_version": 2,
    }  # fmt: skip
    return Outcome(kind=kind, **(fields | more))  # type: ignore[arg-type]


# Figures


def test_an_outcome_becomes_figures(station: Station) -> None:
    station.metrics.outcome(outcome())
    value = station.metrics.registry.get_sample_value
    assert value("chaski_node_installed_version") == 2
    assert value("chaski_node_version_lag") == 0
    assert value("chaski_node_syncs_total", {"outcome": "updated"}) == 1
    assert value("chaski_node_sync_down_bytes_total") == 500
    assert value("chaski_node_sync_timestamp_seconds") == AT


def test_the_lag_is_unknown_when_the_hub_was_not_heard(station: Station) -> None:
    station.metrics.outcome(outcome("full", to_version=1, offered_version=4))
    value = station.metrics.registry.get_sample_value
    assert value("chaski_node_version_lag") == 3
    station.metrics.outcome(outcome("unreachable", at=AT + 99, offered_version=0))
    lag = value("chaski_node_version_lag")
    assert lag is not None
    assert math.isnan(lag)
    assert value("chaski_node_sync_timestamp_seconds") == AT


def test_pages_and_answers_are_counted_by_few_labels(station: Station) -> None:
    station.metrics.page("lesson", 0.03)
    station.recorder.record("question", {"question": "¿Qué?", "answer": "refusal"})
    station.recorder.record("question", {"question": "¿Qué?", "answer": "whatever"})
    value = station.metrics.registry.get_sample_value
    assert value("chaski_node_page_seconds_count", {"route": "lesson"}) == 1
    assert value("chaski_node_answers_total", {"kind": "refusal"}) == 1
    assert value("chaski_node_answers_total", {"kind": "other"}) == 1
    assert value("chaski_node_events_total", {"kind": "question"}) == 2


def test_host_engine_and_spool_are_read_when_the_registry_is(
    station: Station, tmp_path: Path
) -> None:
    stats = EngineStats(
        active=1, waiting=2, tokens_total=30, prompt_tokens_total=4, requests_total=5,
        refused_total=6, seconds_total=0.5, ended_total={},
    )  # fmt: skip
    registry = station.metrics.registry
    for collector in (
        Host(tmp_path, station.clock), Tutoring(lambda: stats), Spooled(station.spool),
    ):  # fmt: skip
        registry.register(collector)
    value = registry.get_sample_value
    assert value("chaski_node_tutor_queue") == 2
    assert value("chaski_node_tutor_tokens_total") == 30
    assert value("chaski_node_tutor_refused_total") == 6
    assert value("chaski_node_clock_quality", {"quality": "rtc"}) == 1
    assert value("chaski_node_clock_quality", {"quality": "unknown"}) == 0
    assert value("chaski_node_spool_dropped_total", {"reason": "space"}) == 0
    assert (value("chaski_node_disk_free_bytes") or 0) > 0
    assert (value("chaski_node_memory_bytes") or 0) > 1_000_000
    assert b"# HELP chaski_node_uptime_seconds" in generate_latest(registry)


def test_memory_is_unknown_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert math.isnan(resident_bytes(tmp_path / "none"))


# Samples


def test_readings_are_sealed_at_the_hour(station: Station) -> None:
    for _ in range(61):
        station.sample()
    (block,) = station.blocks()
    assert (block.node, block.seq, block.clock) == (NODE, 1, "rtc")
    assert len(block.times) == 61
    assert block.times[0] == int(AT * 1000)
    names = {series.name for series in block.series}
    assert "chaski_node_installed_version" in names
    assert not any(name.endswith("_created") for name in names)


def test_readings_can_be_sealed_before_the_hour_is_over(station: Station) -> None:
    station.sample()
    station.sampler.seal()
    station.sampler.seal()
    assert len(station.blocks()) == 1


def test_a_figure_that_is_not_known_is_absent(station: Station) -> None:
    station.sample()
    station.metrics.outcome(outcome())
    station.sample()
    station.sampler.seal()
    (block,) = station.blocks()
    (lag,) = [s for s in block.series if s.name == "chaski_node_version_lag"]
    assert math.isnan(lag.values[0])
    assert lag.values[1] == 0


def test_readings_survive_a_power_cut_in_a_new_epoch(station: Station) -> None:
    station.sample()
    station.sampler.seal()
    station.sample()
    station.spool.close()
    station.start("boot-2")
    station.sample()
    station.sampler.seal()
    first, second = station.blocks()
    assert len(second.times) == 2
    assert first.epoch != second.epoch
    assert second.seq > first.seq


def test_the_epoch_is_of_this_folder_and_this_boot(station: Station, tmp_path: Path) -> None:
    other = Spool(tmp_path / "other.db", LIMIT, "boot-1")
    again = Spool(station.path, LIMIT, "boot-1")
    assert again.epoch == station.spool.epoch != other.epoch
    other.close()
    again.close()


def test_the_clock_of_a_block_is_the_worst_of_its_readings(station: Station) -> None:
    for station.quality in ("trusted", "unknown", "rtc"):
        station.sample()
    station.sampler.seal()
    assert station.blocks()[0].clock == "unknown"


def test_a_reading_before_the_one_before_is_left_out(station: Station) -> None:
    for seconds in (-30.0, 90.0, 60.0):
        station.sample(seconds)
    station.sampler.seal()
    times = station.blocks()[0].times
    assert len(times) == 2
    assert times[0] < times[1]


def test_a_block_never_has_more_readings_than_it_may(station: Station) -> None:
    station.limit = 50_000_000
    station.spool.close()
    station.start()
    for _ in range(BLOCK_ROWS + 1):
        station.sample(1)
    station.sampler.seal()
    assert [len(block.times) for block in station.blocks()] == [BLOCK_ROWS, 1]


def test_rows_of_another_program_do_not_stop_the_others(station: Station) -> None:
    station.spool.add("samples", b"\xc1 not ours")
    station.sample()
    station.spool.add("events", b"\xc1 not ours")
    station.sampler.seal()
    station.recorder.seal()
    assert len(station.blocks()[0].times) == 1
    assert station.spool.waiting("events") == []
    assert station.spool.depth().rows == 0


# Events


def test_events_are_kept_with_their_time_and_sealed(station: Station) -> None:
    station.recorder.record("feedback", {"lesson": "suma", "language": "es", "verdict": "no"})
    station.recorder.record("search_missed", {"query": "volcanes", "language": "es"})
    station.recorder.seal()
    (sealed,) = station.sealed("events")
    block = decode_events(sealed.data)
    assert [(e.kind, e.at) for e in block.events] == [
        ("feedback", int(AT * 1000)), ("search_missed", int(AT * 1000)),
    ]  # fmt: skip
    assert (block.node, block.seq) == (NODE, sealed.seq)


def test_an_event_that_does_not_fit_is_lost_and_no_page_fails(station: Station) -> None:
    station.recorder.record("lesson_opened", {"pupil": "Rosa"})
    station.recorder.record("lesson_opened", {"lesson": "../etc"})
    assert station.spool.rows("events") == 0


# The spool


def test_a_full_spool_drops_the_oldest_samples_first_and_counts(station: Station) -> None:
    station.limit = 4000
    station.spool.close()
    station.start()
    station.recorder.record("search_missed", {"query": "volcanes", "language": "es"})
    station.recorder.seal()
    for number in range(10):
        station.spool.add("samples", bytes([number]) * 600)
        station.spool.seal("samples", 1, lambda epoch, seq, rows: rows[0])
    kept = [block.data[0] for block in station.sealed("samples")]
    assert kept == list(range(10))[-len(kept) :]
    assert 0 < len(kept) < 7
    assert len(station.spool.waiting("events")) == 1
    assert station.spool.dropped()["space"] == 10 - len(kept)
    assert station.spool.depth().bytes <= 4000


def test_events_go_when_there_are_no_samples_left_to_drop(station: Station) -> None:
    station.limit = 2000
    station.spool.close()
    station.start()
    for number in range(10):
        station.spool.add("events", bytes([number]) * 600)
    assert station.spool.rows("events") == 3
    assert station.spool.dropped()["space"] == 7


def test_a_failed_seal_keeps_its_rows_and_its_number(station: Station) -> None:
    def fail(epoch: str, seq: int, rows: list[bytes]) -> bytes:
        raise ContentError("cannot")

    station.spool.add("samples", b"row")
    with pytest.raises(ContentError):
        station.spool.seal("samples", 10, fail)
    assert station.spool.depth() == Depth(blocks=0, rows=1, bytes=3)


def test_a_spool_that_is_no_spool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"garbage " * 1000)
    with pytest.raises(ContentError):
        Spool(tmp_path / "spool.db", LIMIT, "boot")


def test_the_spool_is_a_whole_database(station: Station) -> None:
    station.sample()
    db = sqlite3.connect(station.path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


# The way up


@dataclass
class Mouth:
    """A hub that takes, refuses, or does not answer."""

    taken: list[tuple[str, bytes]] = field(default_factory=list)
    refuses: bool = False
    down_after: int = 10**9

    async def samples(self, block: bytes) -> bool:
        return self._take("samples", block)

    async def events(self, block: bytes) -> bool:
        return self._take("events", block)

    def _take(self, kind: str, block: bytes) -> bool:
        if self.refuses and kind == "samples":
            raise RefusedError("422")
        if len(self.taken) >= self.down_after:
            raise TransportError("no link")
        new = (kind, block) not in self.taken
        self.taken.append((kind, block))
        return new


async def forward(station: Station, mouth: Mouth) -> Forwarded:
    worker = Worker("test")
    done = await Forwarder(station.spool, mouth, worker).forward()
    await worker.close()
    return done


def fill(station: Station) -> None:
    for _ in range(2):
        station.sample()
        station.sampler.seal()
    station.recorder.record("search_missed", {"query": "volcanes", "language": "es"})
    station.recorder.seal()


async def test_blocks_go_up_events_first_and_are_forgotten_when_taken(station: Station) -> None:
    fill(station)
    mouth = Mouth()
    done = await forward(station, mouth)
    assert [kind for kind, _ in mouth.taken] == ["events", "samples", "samples"]
    assert (done.stored, done.known, done.trouble) == (3, 0, "")
    assert done.bytes_up == sum(len(block) for _, block in mouth.taken)
    assert station.spool.depth() == Depth(0, 0, 0)


async def test_a_hub_that_does_not_answer_loses_nothing(station: Station) -> None:
    fill(station)
    done = await forward(station, Mouth(down_after=1))
    assert (done.stored, done.trouble) == (1, "no link")
    assert station.spool.depth().blocks == 2


async def test_a_block_the_hub_has_already_is_forgotten(station: Station) -> None:
    fill(station)
    waiting = [(block.kind, block.data) for block in station.sealed("samples")]
    done = await forward(station, Mouth(taken=list(waiting)))
    assert (done.stored, done.known) == (1, 2)
    assert station.spool.depth().blocks == 0


async def test_a_block_that_is_refused_does_not_block_the_others_and_is_dropped_in_the_end(
    station: Station,
) -> None:
    fill(station)
    mouth = Mouth(refuses=True)
    for attempt in range(MAX_REFUSALS):
        assert station.spool.depth().blocks == (3 if attempt == 0 else 2)
        assert (await forward(station, mouth)).refused == 2
    assert station.spool.depth().blocks == 0
    assert station.spool.dropped()["refused"] == 2
    assert [kind for kind, _ in mouth.taken] == ["events"]


# The clock


def test_time_is_never_before_what_was_signed() -> None:
    clock = Clock(AT, lambda: 0.0, lambda: "rtc")
    assert (clock.now(), clock.quality, clock.credible) == (AT, "unknown", False)
    clock.learn(AT + 5)
    clock.learn(AT)
    assert clock.now() == AT + 5


def test_the_machine_says_how_good_its_clock_is(tmp_path: Path) -> None:
    assert host_quality(tmp_path) == "unknown"
    for path, quality in ((HARDWARE_CLOCK, "rtc"), (NETWORK_TIME, "trusted")):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
        assert host_quality(tmp_path) == quality


def test_a_boot_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("abc\n")
    assert boot_id(tmp_path / "boot_id") == "abc"
    assert boot_id(tmp_path / "none") != boot_id(tmp_path / "none")
