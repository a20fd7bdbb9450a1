"""A node's hour of measurements, as a real one has them, from a seed. Shared."""

import math
import random
from collections.abc import Callable

from sync.samples import Block, Series

START = 1_772_000_000_000
"""Unix milliseconds."""

KINDS = ("home", "lesson", "topic", "search", "ask", "health")


def counter(rng: random.Random) -> Callable[[int], float]:
    total = float(rng.randrange(100))

    def value(minute: int) -> float:
        nonlocal total
        total += rng.choice((0, 0, 0, 1, 2))
        return total

    return value


def seconds(rng: random.Random) -> Callable[[int], float]:
    total = rng.random() * 100

    def value(minute: int) -> float:
        nonlocal total
        total += rng.choice((0.0, 0.0, rng.random()))
        return total

    return value


def memory(rng: random.Random) -> Callable[[int], float]:
    free = 3 * 10**10

    def value(minute: int) -> float:
        nonlocal free
        free -= rng.choice((0, 0, 4096, 8192))
        return float(free)

    return value


def celsius(rng: random.Random) -> Callable[[int], float]:
    return lambda minute: round(45 + 5 * math.sin(minute / 60) + rng.choice((-0.5, 0, 0.5)), 1)


def volts(rng: random.Random) -> Callable[[int], float]:
    return lambda minute: round(12 + math.sin(minute / 200) + rng.gauss(0, 0.02), 2)


def last_sync(rng: random.Random) -> Callable[[int], float]:
    return lambda minute: 1.772e9 + minute // 60 * 3600


METRICS = {
    "chaski_node_requests_total": counter,
    "chaski_node_request_seconds_sum": seconds,
    "chaski_node_request_seconds_count": counter,
    "chaski_node_cpu_celsius": celsius,
    "chaski_node_battery_volts": volts,
    "chaski_node_disk_free_bytes": memory,
    "chaski_node_memory_free_bytes": memory,
    "chaski_node_sync_bytes_total": counter,
    "chaski_node_last_sync_seconds": last_sync,
    "chaski_node_lessons_opened_total": counter,
}


def measured(seed: int = 7, minutes: int = 60) -> Block:
    """60 series, a value a minute, the clock of the sampler a few milliseconds off."""
    rng = random.Random(seed)
    series = []
    for name, make in METRICS.items():
        for kind in KINDS:
            value = make(rng)
            values = tuple(value(minute) for minute in range(minutes))
            series.append(Series(name, (("kind", kind),), values))
    times = tuple(START + minute * 60_000 + rng.randrange(-3, 4) for minute in range(minutes))
    return Block("ccatca-1", "0f9a7c3e", 1, "rtc", times, tuple(series))
