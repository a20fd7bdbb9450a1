"""`chaski-hub fleet` tells an operator how the nodes are."""

import json
from pathlib import Path

from click.testing import CliRunner

from hub.cli import main


def test_a_hub_that_heard_of_no_node_says_so_and_ends_well(tmp_path: Path) -> None:
    environment = {"CHASKI_HUB__HUB__DATA": str(tmp_path / "data")}
    CliRunner().invoke(main, ["keys", "create"], env=environment)
    result = CliRunner().invoke(main, ["fleet", "--json"], env=environment)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == []
    result = CliRunner().invoke(main, ["fleet"], env=environment)
    assert "the newest version is 0" in result.stdout
