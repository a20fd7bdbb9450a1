"""The table of metrics is what is there."""

import re

from prometheus_client import CollectorRegistry

from hub import metrics
from hub.metrics import Metrics

ROW = re.compile(r"^\| `(chaski_hub_\w+)` \| (\w+) \| ([\w, ]*?) ?\| (.+) \|$", re.MULTILINE)


def test_the_table_lists_every_metric_with_its_kind_and_labels() -> None:
    registry = CollectorRegistry()
    made = Metrics(registry)
    instruments = [v for v in vars(made).values() if hasattr(v, "_labelnames")]
    actual = {
        (
            i.describe()[0].name + ("_total" if i.describe()[0].type == "counter" else ""),
            i.describe()[0].type,
            ", ".join(i._labelnames),
        )
        for i in instruments
    }
    documented = {(name, kind, labels) for name, kind, labels, _ in ROW.findall(metrics.__doc__)}
    assert documented == actual


def test_a_queue_is_read_when_it_is_asked_for() -> None:
    made = Metrics(CollectorRegistry())
    waiting = [1]
    made.watch("desk", lambda: waiting[0])
    waiting[0] = 5
    assert made.registry.get_sample_value("chaski_hub_waiting_calls", {"worker": "desk"}) == 5
