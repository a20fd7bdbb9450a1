"""What the hub signs is what a node believes."""

from pathlib import Path

import msgspec
import pytest

from sync import keys
from sync.canonical import digest
from sync.errors import ContentError, SettingsError, TrustError
from sync.head import PUBLISHING, Head, Role, head_to_bytes
from sync.manifest import Entry, Manifest, manifest, to_bytes
from sync.signing import Publisher
from sync.trust import MAX_AHEAD_SECONDS, TrustedState
from sync.verdict import Floors, Refusal
from tests.simulator import DAY, NOW


def version(*names: str) -> Manifest:
    return manifest("escuela", (Entry(n, digest(n.encode()), 100, "lesson") for n in names))


ONE, TWO = version("a"), version("a", "b")


class Hub:
    """A key folder, what was signed last, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = float(NOW)
        self.last: Head | None = None
        keys.create(folder)
        self.root = Publisher(folder).create_root(self.now)

    def sign(self, number: int, content: Manifest) -> Head:
        publisher = Publisher(self.folder)
        self.last = publisher.sign_head("escuela", number, content, self.now, self.last, 90)
        return self.last


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "keys")


def test_a_signed_head_is_believed_and_names_the_manifest(hub: Hub) -> None:
    verdict = TrustedState(hub.root, Floors()).judge(hub.sign(1, TWO), NOW)
    assert (verdict.channel, verdict.version, verdict.root) == ("escuela", 1, TWO.root)
    assert (verdict.manifest_size, verdict.full_size) == (len(to_bytes(TWO)), 200)
    assert verdict.expires == NOW + 90 * DAY


def test_versions_and_renewals_are_believed_one_after_the_other(hub: Hub) -> None:
    floors = Floors()
    for number, content in [(1, ONE), (1, ONE), (2, TWO), (5, ONE), (5, ONE)]:
        hub.now += DAY
        verdict = TrustedState(hub.root, floors).judge(hub.sign(number, content), hub.now)
        floors = verdict.floors
        assert (verdict.version, verdict.root) == (number, content.root)
    assert floors.timestamp == 5


def test_a_renewal_changes_the_timestamp_only(hub: Hub) -> None:
    first = hub.sign(1, ONE)
    hub.now += DAY
    renewed = hub.sign(1, ONE)
    assert renewed.timestamp != first.timestamp
    assert (renewed.snapshot, renewed.targets) == (first.snapshot, first.targets)


def test_what_would_expire_before_the_timestamp_is_signed_again(hub: Hub) -> None:
    first = hub.sign(1, ONE)
    hub.now += 3600 * DAY
    renewed = hub.sign(1, ONE)
    assert renewed.targets != first.targets
    floors = TrustedState(hub.root, Floors()).judge(first, NOW).floors
    assert TrustedState(hub.root, floors).judge(renewed, hub.now).root == ONE.root


def test_a_version_never_gets_two_contents(hub: Hub) -> None:
    hub.sign(1, ONE)
    with pytest.raises(ContentError, match="signed already, with another content"):
        hub.sign(1, TWO)


def test_versions_never_go_back(hub: Hub) -> None:
    hub.sign(2, ONE)
    with pytest.raises(ContentError, match="version 1 after 2"):
        hub.sign(1, ONE)


def test_publishing_needs_no_root_key(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "root.pem").rename(tmp_path / "root.pem")
    assert TrustedState(hub.root, Floors()).judge(hub.sign(1, ONE), NOW).version == 1


@pytest.mark.parametrize("role", PUBLISHING)
def test_publishing_without_its_keys_says_which_is_missing(hub: Hub, role: Role) -> None:
    keys.path(hub.folder, role).unlink()
    with pytest.raises(SettingsError, match=f"no {role} key"):
        hub.sign(1, ONE)


def test_a_clock_a_little_behind_is_forgiven(hub: Hub) -> None:
    hub.sign(1, ONE)
    hub.now -= MAX_AHEAD_SECONDS
    assert TrustedState(hub.root, Floors()).judge(hub.sign(2, TWO), NOW).signed_at == NOW


def test_a_clock_far_behind_is_refused_until_it_is_set(hub: Hub) -> None:
    hub.sign(1, ONE)
    hub.now -= MAX_AHEAD_SECONDS + 1
    with pytest.raises(SettingsError, match=r"clock says 2026-02-24 .* signed on 2026-02-25"):
        hub.sign(2, TWO)


def test_a_damaged_last_head_is_not_signed_over(hub: Hub) -> None:
    hub.last = msgspec.structs.replace(hub.sign(1, ONE), snapshot="{")
    with pytest.raises(ContentError, match="the last head of channel escuela is damaged"):
        hub.sign(2, TWO)


def test_a_last_head_that_someone_changed_is_not_given_out_again(hub: Hub) -> None:
    first = hub.sign(1, ONE)
    hub.last = msgspec.structs.replace(
        first, targets=first.targets.replace('size":100', 'size":99')
    )
    with pytest.raises(ContentError, match="another content"):
        hub.sign(1, ONE)
    hub.last = msgspec.structs.replace(first, snapshot=first.snapshot.replace('"20', '"21'))
    assert TrustedState(hub.root, Floors()).judge(hub.sign(1, ONE), NOW).version == 1


def test_keys_are_replaced_by_the_next_root(hub: Hub, tmp_path: Path) -> None:
    floors = TrustedState(hub.root, Floors()).judge(hub.sign(1, ONE), NOW).floors
    old_folder, hub.folder = hub.folder, tmp_path / "new"
    keys.create(hub.folder)
    second = Publisher(hub.folder).next_root(hub.root, old_folder, hub.now)
    head = hub.sign(1, ONE)
    with pytest.raises(Refusal, match="signature"):
        TrustedState(hub.root, floors).judge(head, NOW)
    state = TrustedState(hub.root, floors)
    state.update_root(second)
    assert state.judge(head, NOW).root == ONE.root


def test_a_root_that_nodes_would_refuse_is_not_given_out(hub: Hub, tmp_path: Path) -> None:
    keys.create(tmp_path / "stranger")
    with pytest.raises(TrustError, match="signature"):
        Publisher(tmp_path / "stranger").next_root(hub.root, tmp_path / "stranger", NOW)


def test_a_head_signed_by_a_wrong_clock_is_left_behind_by_a_new_timestamp_key(
    hub: Hub, tmp_path: Path
) -> None:
    hub.now = NOW + 3000 * DAY
    floors = TrustedState(hub.root, Floors()).judge(hub.sign(1, ONE), 30.0).floors
    hub.now = NOW + DAY
    with pytest.raises(SettingsError, match="signed on 2034"):
        hub.sign(2, TWO)
    folder = tmp_path / "new"
    keys.create(folder, ["timestamp"])
    for role in ("root", "snapshot", "targets"):
        (folder / f"{role}.pem").write_bytes((hub.folder / f"{role}.pem").read_bytes())
    state = TrustedState(hub.root, floors)
    state.update_root(Publisher(folder).next_root(hub.root, hub.folder, hub.now))
    hub.folder = folder
    assert state.judge(hub.sign(2, TWO), hub.now).signed_at == NOW + DAY


def test_a_head_is_small(hub: Hub) -> None:
    assert len(head_to_bytes(hub.sign(1, ONE))) < 2300


def test_a_channel_with_an_odd_name_is_not_signed(hub: Hub) -> None:
    with pytest.raises(ContentError, match="head"):
        Publisher(hub.folder).sign_head("../escuela", 1, ONE, NOW, None, 90)
