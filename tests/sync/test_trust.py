"""What a node believes, and every way we know of to lie to it.

The attacks are those of python-tuf's and Uptane's lists that apply to one channel.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Delegations, MetaFile  # type: ignore[attr-defined]

from sync import head as heads
from sync.errors import ContentError, TrustError
from sync.head import PUBLISHING, ROLES, Head, head_from_bytes, head_to_bytes
from sync.trust import MAX_DEPTH, MAX_ROOT_BYTES, MAX_ROTATIONS, SIGNED_AT, TrustedState
from sync.verdict import Floors, Refusal, Rule, StaleHead, Verdict
from tests.simulator import DAY, NOW, Simulator, content, moment, named, new_signer, sign


@dataclass
class Node:
    """What a node keeps: the root it was given and the floors it stored."""

    root: bytes
    floors: Floors = field(default_factory=Floors)
    now: float = NOW
    credible: bool = False

    def believes(self, head: Head) -> Verdict:
        verdict = TrustedState(self.root, self.floors).judge(head, self.now, credible=self.credible)
        self.floors = verdict.floors
        return verdict

    def refuses(self, head: Head, role: heads.Role, rule: Rule) -> Refusal:
        state = TrustedState(self.root, self.floors)
        before = state.floors
        with pytest.raises(Refusal) as caught:
            state.judge(head, self.now, credible=self.credible)
        assert (caught.value.role, caught.value.rule) == (role, rule), caught.value
        assert (state.floors, state.root_bytes) == (before, self.root)
        assert caught.value.hint
        return caught.value

    def learns(self, *roots: bytes) -> None:
        state = TrustedState(self.root, self.floors)
        for root in roots:
            state.update_root(root)
        self.root, self.floors = state.root_bytes, state.floors


@pytest.fixture
def hub() -> Simulator:
    return Simulator()


@pytest.fixture
def node(hub: Simulator) -> Node:
    return Node(hub.roots[0])


# What is believed


def test_a_first_head_says_what_is_current(hub: Simulator, node: Node) -> None:
    verdict = node.believes(hub.publish("one"))
    assert (verdict.channel, verdict.version, verdict.root) == ("escuela", 1, content("one"))
    assert (verdict.manifest_size, verdict.full_size) == (500, 1000)
    assert (verdict.signed_at, verdict.expires) == (NOW, NOW + 90 * DAY)


def test_a_newer_head_raises_every_floor(hub: Simulator, node: Node) -> None:
    node.believes(hub.publish("one"))
    before = node.floors
    hub.now += DAY
    node.believes(hub.publish("two"))
    after = node.floors
    assert after.timestamp > before.timestamp
    assert after.snapshot > before.snapshot
    assert after.targets > before.targets
    assert after.signed_at == before.signed_at + DAY


def test_the_same_head_again_is_no_news_but_no_lie(hub: Simulator, node: Node) -> None:
    head = hub.publish("one")
    assert node.believes(head) == node.believes(head)


def test_a_renewed_head_says_the_same(hub: Simulator, node: Node) -> None:
    first = node.believes(hub.publish("one"))
    hub.now += 80 * DAY
    renewed = node.believes(hub.refresh())
    assert (renewed.version, renewed.root) == (first.version, first.root)
    assert renewed.expires > first.expires


def test_a_node_may_miss_any_number_of_versions(hub: Simulator, node: Node) -> None:
    node.believes(hub.publish("one"))
    for name in "abcdef":
        head = hub.publish(name)
    assert node.believes(head).version == 7


def test_a_head_survives_its_own_bytes(hub: Simulator) -> None:
    head = hub.publish("one")
    assert head_from_bytes(head_to_bytes(head)) == head


# Rollback, replay, equivocation, mix and match


@pytest.mark.fault(6, "an older head")
def test_replay_of_an_older_head_is_refused(hub: Simulator, node: Node) -> None:
    old = hub.publish("one")
    node.believes(hub.publish("two"))
    node.refuses(old, "timestamp", "rollback")


@pytest.mark.fault(6, "an older snapshot in a newer timestamp")
def test_an_older_snapshot_in_a_newer_timestamp_is_refused(hub: Simulator, node: Node) -> None:
    node.believes(hub.publish("one"))
    hub.timestamp.version += 1
    hub.snapshot.version -= 1
    node.refuses(hub.head(), "snapshot", "rollback")


def test_older_targets_in_a_newer_snapshot_are_refused(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    node.believes(hub.publish("two"))
    hub.targets.version = 1
    hub.put("one")
    node.refuses(hub.refresh(), "targets", "rollback")


@pytest.mark.fault(6, "the same version with another root")
def test_a_version_with_another_content_is_equivocation(hub: Simulator, node: Node) -> None:
    node.believes(hub.publish("one"))
    hub.put("other")
    node.refuses(hub.refresh(), "targets", "equivocation")


def test_a_version_of_another_size_is_equivocation(hub: Simulator, node: Node) -> None:
    node.believes(hub.publish("one"))
    hub.put("one", full_size=1)
    node.refuses(hub.refresh(), "targets", "equivocation")


def test_a_snapshot_version_with_another_content_is_equivocation(
    hub: Simulator, node: Node
) -> None:
    node.believes(hub.publish("one"))
    hub.targets.expires = moment(NOW + DAY * 9)
    hub.timestamp.version += 1
    node.refuses(hub.head(), "snapshot", "equivocation")


def test_a_timestamp_version_with_another_content_is_equivocation(
    hub: Simulator, node: Node
) -> None:
    node.believes(hub.publish("one"))
    hub.timestamp.expires = moment(NOW + DAY * 9)
    node.refuses(hub.head(), "timestamp", "equivocation")


def test_targets_signed_again_by_a_new_key_are_no_equivocation(hub: Simulator, node: Node) -> None:
    node.believes(hub.publish("one"))
    node.learns(hub.rotate(add=["targets"]))
    assert node.believes(hub.refresh()).version == 1


def test_without_a_memory_of_contents_versions_still_count(hub: Simulator, node: Node) -> None:
    old = hub.publish("one")
    newer = hub.publish("two")
    node.believes(newer)
    node.floors = msgspec.structs.replace(node.floors, seen="")
    node.refuses(old, "timestamp", "rollback")
    assert node.believes(newer).version == 2


@pytest.mark.fault(8, "the files of two heads")
@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_files_of_two_heads_do_not_mix(hub: Simulator, node: Node, role: heads.Role) -> None:
    old, new = hub.publish("one"), hub.publish("two")
    mixed = msgspec.structs.replace(new, **{role: getattr(old, role)})
    node.refuses(mixed, role, "mismatch")


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_a_file_named_under_another_version_is_refused(
    hub: Simulator, node: Node, role: heads.Role
) -> None:
    hub.publish("one")
    hub.seal = False
    if role == "targets":
        hub.snapshot.meta["targets.json"].version += 1
        snapshot = sign(hub.snapshot, hub.signers["snapshot"])
        hub.timestamp.snapshot_meta = named(hub.snapshot.version, snapshot)
    else:
        hub.timestamp.snapshot_meta.version += 1
    node.refuses(hub.head(), role, "mismatch")


def test_a_snapshot_named_without_a_hash_is_refused(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    hub.seal = False
    hub.timestamp.snapshot_meta = MetaFile(hub.snapshot.version)
    node.refuses(hub.head(), "snapshot", "format")


def test_a_snapshot_that_names_more_than_targets_is_refused(hub: Simulator, node: Node) -> None:
    head = hub.publish("one")
    hub.seal = False
    hub.snapshot.meta["other.json"] = named(1, b"")
    snapshot = sign(hub.snapshot, hub.signers["snapshot"])
    hub.timestamp.snapshot_meta = named(hub.snapshot.version, snapshot)
    assert hub.head().targets == head.targets
    node.refuses(hub.head(), "snapshot", "format")


# Keys


@pytest.mark.parametrize("role", PUBLISHING)
def test_a_head_signed_by_a_strangers_key_is_refused(
    hub: Simulator, node: Node, role: heads.Role
) -> None:
    hub.signers[role] = [new_signer()]
    node.refuses(hub.publish("forged"), role, "signature")


@pytest.mark.parametrize("role", PUBLISHING)
def test_an_unsigned_head_is_refused(hub: Simulator, node: Node, role: heads.Role) -> None:
    hub.signers[role] = []
    node.refuses(hub.publish("forged"), role, "signature")


@pytest.mark.parametrize("role", PUBLISHING)
def test_the_key_of_one_role_does_not_sign_for_another(
    hub: Simulator, node: Node, role: heads.Role
) -> None:
    others: dict[heads.Role, heads.Role] = {
        "timestamp": "snapshot",
        "snapshot": "targets",
        "targets": "timestamp",
    }
    hub.signers[role] = hub.signers[others[role]]
    node.refuses(hub.publish("forged"), role, "signature")


def test_a_changed_content_under_the_old_signature_is_refused(hub: Simulator, node: Node) -> None:
    head = hub.publish("one")
    forged = head.timestamp.replace(moment(NOW + 90 * DAY).strftime("%Y"), "2099")
    assert forged != head.timestamp
    node.refuses(msgspec.structs.replace(head, timestamp=forged), "timestamp", "signature")


def test_who_steals_the_timestamp_key_alone_cannot_bring_new_content(
    hub: Simulator, node: Node
) -> None:
    node.believes(hub.publish("one"))
    thief = hub.thief()
    thief.signers["targets"] = [new_signer()]
    thief.signers["snapshot"] = [new_signer()]
    node.refuses(thief.publish("forged"), "snapshot", "signature")


@pytest.mark.fault(10, "two of three keys")
def test_two_of_three_keys_are_enough_when_two_are_asked_for(hub: Simulator) -> None:
    hub.signers["targets"] = [new_signer() for _ in range(3)]
    hub.thresholds["targets"] = 2
    node = Node(hub.rotate())
    all_three = hub.signers["targets"]
    hub.signers["targets"] = all_three[1:]
    node.believes(hub.publish("one"))
    hub.signers["targets"] = all_three[:1]
    node.refuses(hub.publish("two"), "targets", "signature")


def test_one_key_twice_is_one_signature(hub: Simulator) -> None:
    hub.signers["targets"] = [new_signer(), new_signer()]
    hub.thresholds["targets"] = 2
    node = Node(hub.rotate())
    hub.signers["targets"] = hub.signers["targets"][:1] * 2
    node.refuses(hub.publish("one"), "targets", "signature")
    text = json.loads(hub.head().timestamp)
    text["signatures"] *= 2
    doubled = msgspec.structs.replace(hub.head(), timestamp=json.dumps(text))
    node.refuses(doubled, "timestamp", "format")


def test_one_key_under_two_names_is_refused(hub: Simulator) -> None:
    root = json.loads(hub.rotate(add=["targets"]))
    keyids = root["signed"]["roles"]["targets"]["keyids"]
    public = root["signed"]["keys"][keyids[0]]["keyval"]["public"]
    root["signed"]["keys"][keyids[1]]["keyval"]["public"] = public.upper()
    with pytest.raises(Refusal, match="under two names"):
        TrustedState(json.dumps(root).encode(), Floors())


def test_a_root_that_asks_for_more_keys_than_it_names_is_refused(hub: Simulator) -> None:
    hub.thresholds["snapshot"] = 2
    with pytest.raises(Refusal, match="fewer snapshot keys"):
        TrustedState(hub.rotate(), Floors())


def test_a_root_with_another_kind_of_key_is_refused(hub: Simulator) -> None:
    root = hub.roots[0].replace(b'"scheme":"ed25519"', b'"scheme":"ecdsa-sha2-nistp256"', 1)
    root = root.replace(b'"keytype":"ed25519"', b'"keytype":"ecdsa"', 1)
    with pytest.raises(Refusal, match=r"kind 'ecdsa'.*\(keys\)"):
        TrustedState(root, Floors())


# Root rotation


def test_a_new_root_is_believed_when_old_and_new_keys_sign_it(hub: Simulator, node: Node) -> None:
    node.learns(hub.rotate(replace=["root", "targets"]))
    node.believes(hub.publish("one"))
    assert node.floors.root == 2


@pytest.mark.fault(10, "intermediate roots of a year")
def test_a_node_that_was_away_for_a_year_walks_through_all_roots(
    hub: Simulator, node: Node
) -> None:
    node.learns(*(hub.rotate(replace=["root"]) for _ in range(MAX_ROTATIONS)))
    assert node.believes(hub.publish("one")).version == 1


@pytest.mark.fault(10, "more than 32 rotations")
def test_more_rotations_at_once_are_refused(hub: Simulator, node: Node) -> None:
    with pytest.raises(Refusal, match=r"more than 32 rotations at once \(order\)"):
        node.learns(*(hub.rotate() for _ in range(MAX_ROTATIONS + 1)))


@pytest.mark.fault(10, "a revoked key")
def test_what_a_replaced_key_signs_is_refused(hub: Simulator, node: Node) -> None:
    thief = hub.thief()
    node.learns(hub.rotate(replace=["targets"]))
    node.refuses(thief.publish("forged"), "targets", "signature")


def test_a_root_that_the_old_keys_did_not_sign_is_refused(hub: Simulator, node: Node) -> None:
    forged = hub.rotate(replace=["root"], old_signs=False)
    with pytest.raises(Refusal, match=r"0/1 keys; root version 1 \(signature\)"):
        node.learns(forged)
    assert node.root == hub.roots[0]


def test_a_root_that_its_own_keys_did_not_sign_is_refused(hub: Simulator, node: Node) -> None:
    root = json.loads(hub.rotate(replace=["root"]))
    old = hub.roots[0]
    (old_id,) = json.loads(old)["signed"]["roles"]["root"]["keyids"]
    root["signatures"] = [s for s in root["signatures"] if s["keyid"] == old_id]
    with pytest.raises(Refusal, match=r"0/1 keys; root version 2 \(signature\)"):
        node.learns(json.dumps(root).encode())


def test_roots_come_one_after_the_other(hub: Simulator, node: Node) -> None:
    hub.rotate()
    hub.rotate()
    for wrong in (hub.roots[0], hub.roots[2]):
        with pytest.raises(Refusal) as caught:
            node.learns(wrong)
        assert caught.value.rule == "order"


def test_a_root_older_than_the_floor_is_refused(hub: Simulator, node: Node) -> None:
    node.learns(hub.rotate())
    with pytest.raises(Refusal, match=r"version 1 is older than 2 \(rollback\)"):
        TrustedState(hub.roots[0], node.floors)


def test_a_tampered_root_is_refused(hub: Simulator) -> None:
    forged = hub.roots[0].replace(b'"threshold":1', b'"threshold":1,"x":1', 1)
    with pytest.raises(Refusal) as caught:
        TrustedState(forged, Floors())
    assert (caught.value.role, caught.value.rule) == ("root", "signature")


def test_an_expired_root_may_lead_to_a_fresh_one_but_not_judge(hub: Simulator, node: Node) -> None:
    node.now = hub.now = NOW + 3651 * DAY
    error = node.refuses(hub.publish("late"), "root", "expired")
    assert isinstance(error, StaleHead)
    node.learns(hub.rotate())
    assert node.believes(hub.refresh()).version == 1


# Fast-forward, and how one recovers


@pytest.mark.fault(9, "to 2^31, and new keys")
@pytest.mark.parametrize("role", PUBLISHING)
def test_versions_counted_up_by_a_thief_are_forgotten_with_his_keys(
    hub: Simulator, node: Node, role: heads.Role
) -> None:
    node.believes(hub.publish("one"))
    thief = hub.thief()
    getattr(thief, role).version = 2**31
    thief.put("one" if role != "targets" else "forged")
    thief.timestamp.version += 1
    thief.snapshot.version += 1
    node.believes(thief.head())
    node.refuses(hub.publish("two"), role, "rollback")
    node.learns(hub.rotate(replace=PUBLISHING))
    assert node.believes(hub.publish("three")).root == content("three")
    assert node.floors.version(role) < 100


def test_a_key_that_is_only_added_forgets_no_version(hub: Simulator, node: Node) -> None:
    old = hub.publish("one")
    node.believes(hub.publish("two"))
    node.learns(hub.rotate(add=PUBLISHING))
    node.refuses(old, "timestamp", "rollback")


def test_a_time_counted_up_by_a_thief_is_forgotten_with_his_key(hub: Simulator, node: Node) -> None:
    node.believes(hub.publish("one"))
    thief = hub.thief()
    thief.now = NOW + 3000 * DAY
    node.believes(thief.refresh())
    hub.timestamp.version += 10
    hub.snapshot.version += 10
    node.refuses(hub.publish("two"), "timestamp", "expired")
    node.learns(hub.rotate(replace=["timestamp"]))
    assert node.believes(hub.refresh()).root == content("two")
    assert node.floors.signed_at == NOW


@pytest.mark.fault(9, "beyond all counting")
def test_versions_beyond_all_counting_are_refused(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    hub.timestamp.version = 2**53 + 1
    node.refuses(hub.head(), "timestamp", "format")


# Time


def test_an_expired_head_is_stale_and_keeps_its_own_name(hub: Simulator, node: Node) -> None:
    head = hub.publish("one")
    node.now = NOW + 90 * DAY
    error = node.refuses(head, "timestamp", "expired")
    assert isinstance(error, StaleHead)
    assert isinstance(error, TrustError)
    assert "expired on 2026-05-26 06:13, it is 2026-05-26 06:13" in str(error)


def test_a_head_is_good_to_its_last_second(hub: Simulator, node: Node) -> None:
    head = hub.publish("one")
    node.now = NOW + 90 * DAY - 1
    node.believes(head)


def test_staleness_is_said_only_of_what_is_otherwise_sound(hub: Simulator, node: Node) -> None:
    node.now = NOW + 90 * DAY
    hub.signers["targets"] = [new_signer()]
    node.refuses(hub.publish("one"), "targets", "signature")


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_an_expired_part_makes_the_head_stale(hub: Simulator, node: Node, role: heads.Role) -> None:
    hub.publish("one")
    getattr(hub, role).expires = moment(NOW)
    node.refuses(hub.head(), role, "expired")


def test_a_node_in_1970_believes_the_hub_about_time(hub: Simulator, node: Node) -> None:
    node.now = 30.0
    assert node.believes(hub.publish("one")).signed_at == NOW
    assert node.floors.signed_at == NOW


def test_a_frozen_head_is_stale_for_a_node_without_a_clock(hub: Simulator, node: Node) -> None:
    """It knows the date of newer root keys, though its own clock says 1970."""
    node.now = 30.0
    frozen = hub.publish("one")
    node.believes(frozen)
    hub.now += 91 * DAY
    node.learns(hub.rotate())
    node.refuses(frozen, "timestamp", "expired")


def test_a_clock_that_jumps_back_makes_no_old_head_fresh(hub: Simulator, node: Node) -> None:
    hub.lifetime_days = 1
    early = hub.publish("one")
    hub.now += 2 * DAY
    node.believes(hub.refresh())
    node.now = NOW
    node.floors = msgspec.structs.replace(node.floors, timestamp=0, snapshot=0, seen="")
    node.refuses(early, "timestamp", "expired")


@pytest.mark.fault(14, "ten years ahead")
def test_a_clock_ten_years_ahead_makes_heads_stale_not_forged(hub: Simulator, node: Node) -> None:
    node.now = NOW + 3649 * DAY
    assert isinstance(node.refuses(hub.publish("one"), "timestamp", "expired"), StaleHead)


@pytest.mark.fault(14, "a head from the future")
def test_a_head_from_tomorrow_is_refused_by_a_credible_clock(hub: Simulator, node: Node) -> None:
    node.credible = True
    hub.now = NOW + DAY
    node.believes(hub.publish("one"))
    node.now, hub.now = NOW + DAY, NOW + 2 * DAY + 1
    node.refuses(hub.publish("two"), "timestamp", "future")


def test_a_clock_behind_what_was_signed_is_not_credible_whoever_vouches(
    hub: Simulator, node: Node
) -> None:
    """A board with a hardware clock and a dead battery. Its root keys are from 2026."""
    node.credible, node.now = True, 30.0
    hub.now = NOW + 75 * DAY
    node.believes(hub.publish("one"))


def test_a_clock_that_was_stopped_for_a_summer_takes_the_hubs_word(
    hub: Simulator, node: Node
) -> None:
    """Raspberry Pi OS restores the time of the last shutdown: late, but past the floor."""
    node.believes(hub.publish("one"))
    node.now = NOW + 600
    hub.now = NOW + 75 * DAY
    node.believes(hub.publish("two"))


def test_an_earlier_signing_time_in_a_newer_version_is_no_attack(
    hub: Simulator, node: Node
) -> None:
    node.believes(hub.publish("one"))
    hub.now = NOW - DAY
    node.believes(hub.publish("two"))
    assert node.floors.signed_at == NOW


@pytest.mark.parametrize("value", [None, "1772000000", 0, -5, True, NOW + 90 * DAY])
def test_a_timestamp_must_say_when_it_was_signed(hub: Simulator, node: Node, value: object) -> None:
    hub.publish("one")
    hub.timestamp.unrecognized_fields = {} if value is None else {SIGNED_AT: value}
    node.refuses(hub.head(), "timestamp", "format")


def test_a_signing_time_outside_the_signature_does_not_count(hub: Simulator, node: Node) -> None:
    text = json.loads(hub.publish("one").timestamp)
    text[SIGNED_AT] = NOW + 80 * DAY
    moved = msgspec.structs.replace(hub.head(), timestamp=json.dumps(text))
    assert node.believes(moved).signed_at == NOW


# Channels


def test_a_head_of_another_channel_of_the_same_hub_is_refused(hub: Simulator) -> None:
    state = TrustedState(hub.roots[0], Floors(), channel="escuela")
    hub.channel = "salud"
    with pytest.raises(Refusal, match=r"is about \['salud'\], not about 'escuela' alone"):
        state.judge(hub.publish("one"), NOW)


def test_a_head_with_a_false_label_is_refused(hub: Simulator, node: Node) -> None:
    hub.channel = "salud"
    relabelled = msgspec.structs.replace(hub.publish("one"), channel="escuela")
    node.refuses(relabelled, "targets", "channel")


def test_a_head_about_two_channels_is_refused(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    hub.targets.targets["salud"] = hub.targets.targets["escuela"]
    node.refuses(hub.refresh(), "targets", "channel")


def test_targets_that_delegate_are_refused(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    hub.targets.delegations = Delegations({}, {})
    node.refuses(hub.refresh(), "targets", "channel")


# Bounds and forms


@pytest.mark.parametrize(
    "change",
    [{"version": 7}, {"full_size": -1}, {"full_size": "many"}, {"more": 1}],
)
def test_a_target_that_says_something_odd_is_refused(
    hub: Simulator, node: Node, change: dict[str, object]
) -> None:
    hub.publish("one")
    hub.put("one", **change)
    node.refuses(hub.refresh(), "targets", "format")


def test_a_target_without_a_sha256_is_refused(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    hub.targets.targets["escuela"].hashes = {"sha512": "00"}
    node.refuses(hub.refresh(), "targets", "format")


def test_a_manifest_of_endless_or_odd_size_is_refused(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    hub.targets.targets["escuela"].length = 2**40
    node.refuses(hub.refresh(), "targets", "size")
    hub.targets.targets["escuela"].length = True
    node.refuses(hub.refresh(), "targets", "format")


@pytest.mark.parametrize("spec", ["2.0.0", "", "x"])
def test_other_rules_than_ours_are_refused(hub: Simulator, node: Node, spec: str) -> None:
    hub.publish("one")
    hub.timestamp.spec_version = spec
    node.refuses(hub.head(), "timestamp", "spec")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("x" * (heads.MAX_ROLE_BYTES + 1), "size"),
        ("[" * 10_000, "size"),
        ('{"a":' * (MAX_DEPTH + 1), "size"),
        ("", "format"),
        ("null", "format"),
        ("{}", "format"),
        ("\ud800", "format"),
        ('{"signed":{"_type":"timestamp","spec_version":"1.0","version":1}}', "format"),
        ('{"signed":{"_type":"timestamp","spec_version":"1.0","version":' + "9" * 9000, "format"),
        ('{"signed":{"_type":"timestamp","spec_version":"1.0","version":true}}', "format"),
        ('{"signed":{"_type":"root","spec_version":"1.0","version":1}}', "format"),
    ],
)
def test_what_is_no_metadata_is_refused_before_it_costs_anything(
    hub: Simulator, node: Node, text: str, rule: Rule
) -> None:
    node.refuses(msgspec.structs.replace(hub.publish("one"), timestamp=text), "timestamp", rule)


def test_brackets_inside_words_are_not_depth(hub: Simulator, node: Node) -> None:
    hub.publish("one")
    hub.timestamp.unrecognized_fields["x-note"] = '"[' * 50 + "\\"
    node.believes(hub.head())


def test_a_number_with_no_canonical_form_is_refused(hub: Simulator, node: Node) -> None:
    text = json.loads(hub.publish("one").timestamp)
    text["signed"]["x-note"] = 1.5
    odd = msgspec.structs.replace(hub.head(), timestamp=json.dumps(text))
    node.refuses(odd, "timestamp", "format")


def test_a_root_of_endless_size_is_refused() -> None:
    with pytest.raises(Refusal, match="more than the"):
        TrustedState(b" " * (MAX_ROOT_BYTES + 1), Floors())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b" " * (heads.MAX_HEAD_BYTES + 1),
        b'{"channel":"a","timestamp":"","snapshot":"","targets":"","more":1}',
        b'{"channel":"../a","timestamp":"","snapshot":"","targets":""}',
    ],
)
def test_what_is_no_head_is_refused(data: bytes) -> None:
    with pytest.raises(ContentError, match="head"):
        head_from_bytes(data)


HUB = Simulator()
HEAD = HUB.publish("one")
DATA = head_to_bytes(HEAD)


@pytest.mark.fault(4, "in the head and the root keys")
@settings(max_examples=150)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_damaged_head_is_refused_or_means_the_same(place: int, change: int) -> None:
    damaged = bytearray(DATA)
    damaged[place] ^= change
    sound = HUB.state().judge(HEAD, NOW)
    with contextlib.suppress(ContentError):
        assert HUB.state().judge(head_from_bytes(bytes(damaged)), NOW) == sound


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside JSON."""
    for key in range(len(value)) if isinstance(value, list) else list(value):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def signed_again(role: heads.Role, signed: dict[str, Any]) -> str:
    """`signed` under the right key, whatever it says."""
    text = encode_canonical(signed)
    assert text is not None
    signature = HUB.signers[role][0].sign(text.encode())
    return json.dumps({"signatures": [signature.to_dict()], "signed": signed})


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, -1, 2**31, 10**30, "", "x", "1", [], {}, [1], {"a": 1}, [[]]]
)


NAMERS: tuple[tuple[heads.Role, heads.Role], ...] = (
    ("snapshot", "targets"),
    ("timestamp", "snapshot"),
)


@settings(max_examples=300)
@given(st.sampled_from(ROLES), st.integers(0, 10_000), ODD)
def test_oddities_signed_with_the_right_key_are_refused_or_do_no_harm(
    role: heads.Role, number: int, value: object
) -> None:
    texts = {r: HUB.roots[0] if r == "root" else getattr(HEAD, r).encode() for r in ROLES}
    parts = {r: json.loads(texts[r])["signed"] for r in ROLES}
    found = list(places(parts[role]))
    container, key = found[number % len(found)]
    container[key] = value
    forged: dict[str, str] = {"targets": signed_again("targets", parts["targets"])}
    for namer, name in NAMERS:
        if role != namer:
            meta = named(parts[namer]["meta"][f"{name}.json"]["version"], forged[name].encode())
            parts[namer]["meta"][f"{name}.json"] = meta.to_dict()
        forged[namer] = signed_again(namer, parts[namer])
    with contextlib.suppress(TrustError):
        root = signed_again("root", parts["root"]).encode()
        verdict = TrustedState(root, Floors()).judge(Head("escuela", **forged), NOW)
        assert (verdict.channel, verdict.root) == ("escuela", content("one"))


@pytest.mark.fault(4, "in the head and the root keys")
@settings(max_examples=100)
@given(st.integers(0, len(HUB.roots[0]) - 1), st.integers(1, 255))
def test_a_damaged_root_is_refused_or_means_the_same(place: int, change: int) -> None:
    damaged = bytearray(HUB.roots[0])
    damaged[place] ^= change
    with contextlib.suppress(TrustError):
        assert TrustedState(bytes(damaged), Floors()).judge(HEAD, NOW).root == content("one")
