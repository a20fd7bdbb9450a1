"""publish, status: what nodes may trust and get."""

import time
from dataclasses import dataclass

import click

from hub.commands.console import (
    json_option,
    out,
    pass_office,
    print_json,
    progress_console,
    say,
    size,
    table,
)
from hub.herald import after_publishing
from hub.office import Office
from hub.publisher import Publication, published
from sync.canonical import Digest


@click.command()
@json_option
@pass_office
def publish(office: Office, as_json: bool) -> None:
    """Publish what is approved as the next version, with its deltas."""
    with progress_console.status("publishing") as status:
        done = office.publisher.publish(lambda step: status.update(step))
        if done.state != "nothing":
            status.update("announcing")
            after_publishing(office.config, office.library, office.shelf)
    if as_json:
        print_json(_publication_json(office, done))
        return
    name = f"{done.channel} version {done.version}"
    if done.state == "nothing":
        say(f"nothing to publish: {name} is what is approved")
        return
    if done.state == "renewed":
        say(f"nothing new; {name} is signed again")
        return
    say(f"{name} is published: {done.lessons} lessons, root {done.root[:12]}")
    shown = table("Bundles", "from", ">bytes", ">of the whole")
    for bundle in _bundles(office, done):
        base = f"version {bundle.base_version}" if bundle.base else "nothing"
        shown.add_row(base, size(bundle.size), f"{bundle.share:.1%}")
    out.print(shown)


@click.command()
@json_option
@pass_office
def status(office: Office, as_json: bool) -> None:
    """What is published, what waits, how much room it takes."""
    channel = office.config.channel.id
    has_keys = office.shelf.root(1) is not None
    missed = len(office.library.missed_searches(1000))
    head = published(office.shelf, channel) if has_keys else None
    counts = office.library.counts()
    database = office.config.database
    told = {
        "channel": channel,
        "keys": has_keys,
        "version": head.version if head else 0,
        "root": head.root if head else None,
        "signed_at": head.signed_at if head else None,
        "expires": head.expires if head else None,
        "lessons": counts["lessons"],
        "candidates": {k: v for k, v in counts.items() if k != "lessons"},
        "missed_searches": missed,
        "bytes": {
            "channel": head.full_size if head else 0,
            "published": office.shelf.size(),
            "database": database.stat().st_size,
        },
    }
    if as_json:
        print_json(told)
        return
    if head is None:
        made = "keys are made" if has_keys else "there are no keys: `chaski-hub keys create`"
        say(f"{channel}: nothing is published yet; {made}")
    else:
        when = time.strftime("%Y-%m-%d", time.gmtime(head.expires))
        say(
            f"{channel} version {head.version}, root {head.root[:12]}, "
            f"{size(head.full_size)}, good until {when}"
        )
    say(
        f"{counts['lessons']} lessons approved, {counts['waiting']} candidates waiting, "
        f"{counts['stopped']} stopped at a gate, {missed} missed searches"
    )
    files = size(office.shelf.size())
    say(f"published files {files}, database {size(database.stat().st_size)}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle of a publication. `base_version` is None for the whole one; `size` in bytes."""

    base_version: int | None
    base: Digest | None
    size: int
    share: float


def _bundles(office: Office, done: Publication) -> list[Bundle]:
    """The bundles of a publication, the whole one first."""
    numbers = {v.root: v.version for v in office.library.versions(done.channel)}
    whole = done.offers[0].size if done.offers else 0
    return [
        Bundle(numbers[o.base] if o.base else None, o.base, o.size, o.size / whole)
        for o in done.offers
    ]


def _publication_json(office: Office, done: Publication) -> dict[str, object]:
    return {
        "state": done.state, "channel": done.channel, "version": done.version, "root": done.root,
        "lessons": done.lessons, "full_size": done.full_size,
        "seconds": round(done.seconds, 3), "bundles": _bundles(office, done),
    }  # fmt: skip
