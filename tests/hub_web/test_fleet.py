"""How the nodes are, from their last words."""

from pathlib import Path

from hub.fleet import (
    MODEL,
    MODEL_STATE,
    SILENT_SECONDS,
    SPOOLED,
    VERSION,
    Contact,
    NodeState,
    Reading,
    count,
    fleet,
)

NOW = 10.0**9


def contact(node: str, silent: float = 60.0) -> Contact:
    return Contact(node, NOW - 10**6, NOW - silent, "rtc", 5)


def says(node: str, value: float, name: str = VERSION) -> Reading:
    return Reading(node, name, (), value, int(NOW * 1000))


def one(*readings: Reading, silent: float = 60.0, head: int = 7) -> NodeState:
    (state,) = fleet([contact("a", silent)], readings, head, NOW)
    return state


def test_a_node_with_the_newest_version_is_current() -> None:
    assert one(says("a", 7), says("a", 3, SPOOLED)) == NodeState(
        "a", "current", 7, 0, 3, "rtc", NOW - 60
    )


def test_lag_is_counted_in_versions() -> None:
    state = one(says("a", 4))
    assert (state.condition, state.lag) == ("behind", 3)


def test_a_node_ahead_of_its_hub_lags_by_nothing() -> None:
    """A hub restored from a copy."""
    assert one(says("a", 9)).lag == 0


def test_a_node_that_never_told_its_version_has_no_lag() -> None:
    state = one()
    assert (state.condition, state.version, state.lag, state.spooled) == (
        "unknown", None, None, None,
    )  # fmt: skip


def test_a_week_of_silence_counts_more_than_the_version() -> None:
    assert one(says("a", 7), silent=SILENT_SECONDS + 1).condition == "silent"
    assert one(says("a", 7), silent=SILENT_SECONDS).condition == "current"


def test_a_figure_that_no_count_can_be_is_not_shown() -> None:
    for value in (-1.0, float("inf"), float("nan")):
        assert one(says("a", value)).version is None


def info(version: str, seconds_ago: int) -> Reading:
    labels = (("name", "tutor-es-small"), ("source", "channel"), ("version", version))
    return Reading("a", MODEL, labels, 1.0, int((NOW - seconds_ago) * 1000))


def state(name: str, value: float, seconds_ago: int) -> Reading:
    return Reading("a", MODEL_STATE, (("state", name),), value, int((NOW - seconds_ago) * 1000))


def test_the_model_is_the_one_told_last() -> None:
    """A series that ended keeps its last value here."""
    told = (info("aaaaaaaaaaaa", 7200), info("bbbbbbbbbbbb", 60))
    assert one(*told).model == one(*reversed(told)).model == "tutor-es-small bbbbbbbbbbbb"
    assert one(*told, state("running", 1, 60), state("trial", 0, 60)).model == one(*told).model
    assert one().model is None


def test_how_the_model_is_stands_beside_it_unless_all_is_well() -> None:
    told = (state("running", 0, 60), state("trial", 1, 60))
    assert one(info("bbbbbbbbbbbb", 60), *told).model == "tutor-es-small bbbbbbbbbbbb trial"
    assert one(info("bbbbbbbbbbbb", 7200), state("damaged", 1, 60)).model == "damaged"


def test_who_needs_somebody_comes_first() -> None:
    nodes = ["fine", "late", "later", "mute", "gone"]
    contacts = [contact(n, 10**7 if n == "gone" else 0) for n in nodes]
    told = [says("fine", 7), says("late", 6), says("later", 2), says("gone", 7)]
    states = fleet(contacts, told, 7, NOW)
    assert [s.node for s in states] == ["gone", "later", "late", "mute", "fine"]
    assert count(states) == {"silent": 1, "behind": 2, "unknown": 1, "current": 1}


def test_the_names_are_those_that_nodes_use(root: Path) -> None:
    """The node's source is read as text: hub and node never import each other."""
    source = (root / "node" / "telemetry" / "metrics.py").read_text(encoding="utf-8")
    for name in (VERSION, SPOOLED, MODEL, MODEL_STATE):
        assert name in source or f'"{name.removeprefix("chaski_node_")}"' in source
