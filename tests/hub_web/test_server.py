"""The wire, over a real socket, with the node's own source and sink."""

import asyncio
import io
import json

import pytest

from hub.intake import MAX_BLOCK_BYTES
from sync.bundle import BundleReader, digests_from_bytes
from sync.canonical import Digest, digest
from sync.head import PACKED_TYPE, head_from_bytes, unpack_head
from sync.manifest import Manifest, from_bytes
from sync.transport import RefusedError
from sync.transport.http import HttpSink, HttpSource
from tests.hub.fakes import CHANNEL, a_lesson
from tests.hub_web.reports import NOW, events, missed, samples
from tests.hub_web.world import Client, World

NOTHING = Digest("0" * 64)


def url(client: Client) -> str:
    return str(client.make_url("/")).rstrip("/")


def unpacked(
    data: bytes, base: Manifest | None, held: dict[Digest, bytes]
) -> tuple[Manifest, dict[Digest, bytes]]:
    """The manifest that a bundle leads to, and every object of it, hashed on the way."""
    reader = BundleReader(data, base)
    made = {entry.hash: body for entry, body in reader.objects(held.__getitem__)}
    return reader.target_manifest(), made


async def test_a_node_fetches_a_version_and_then_its_delta(world: World, client: Client) -> None:
    first = Digest(world.publish())
    source = HttpSource(client.session, url(client))
    assert head_from_bytes(await source.head(CHANNEL.id)).channel == CHANNEL.id
    whole = await source.offer(CHANNEL.id, None, first)
    assert whole is not None
    data = await source.chunk_range(whole.bundle, 0, whole.size)
    assert digest(data) == whole.bundle
    base, objects = unpacked(data, None, {})
    world.hub.write(a_lesson(body=("Tengo dos papas y me dan cuatro.", "¿Cuántas tengo? Seis.")))
    delta = await source.offer(CHANNEL.id, first, Digest(world.publish()))
    assert delta is not None
    middle = delta.size // 2
    data = await source.chunk_range(delta.bundle, 0, middle)
    data += await source.chunk_range(delta.bundle, middle, delta.size)
    assert unpacked(data, base, objects)[0].root == delta.target
    assert delta.size < whole.size


async def test_roots_objects_and_manifests_are_there(world: World, client: Client) -> None:
    root = Digest(world.publish())
    source = HttpSource(client.session, url(client))
    assert await source.root(1) == world.hub.shelf.root(1)
    assert await source.root(2) is None
    answer = await client.get(f"/v1/manifests/{root}")
    manifest = from_bytes(await answer.read())
    assert manifest.root == root
    for entry in manifest.entries:
        assert digest(await source.object(entry.hash)) == entry.hash
    again = await client.get(
        f"/v1/manifests/{root}", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status == 304


async def test_asking_for_the_head_again_costs_no_body(world: World, client: Client) -> None:
    world.publish()
    path = f"/v1/channels/{CHANNEL.id}/head"
    first = await client.get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    tag = {"If-None-Match": first.headers["ETag"]}
    second = await client.get(path, headers=tag)
    assert (second.status, await second.read()) == (304, b"")
    world.hub.write(a_lesson("otra", title="Otra"))
    world.publish()
    assert (await client.get(path, headers=tag)).status == 200


async def test_header_and_digests_prove_a_version_before_it_travels(
    world: World, client: Client
) -> None:
    root = Digest(world.publish())
    source = HttpSource(client.session, url(client))
    offer = await source.offer(CHANNEL.id, None, root)
    told = await source.digests(CHANNEL.id, None, root)
    assert offer is not None
    assert told is not None
    reader = BundleReader(await source.chunk_range(offer.bundle, 0, offer.size))
    assert reader.promised(digests_from_bytes(told)).root == root
    assert await source.digests(CHANNEL.id, NOTHING, root) is None


REFUSED = [
    ("GET", "/v1/channels/escuela/head", 404),
    ("GET", "/v1/channels/otro/head", 404),
    ("GET", "/v1/channels/..%2F..%2Fkeys/head", 404),
    ("GET", f"/v1/channels/escuela/bundles/none/{NOTHING}", 404),
    ("GET", f"/v1/channels/escuela/bundles/{NOTHING}/{NOTHING}", 404),
    ("GET", "/v1/channels/escuela/bundles/x/y", 404),
    ("GET", f"/v1/channels/escuela/bundles/none/{NOTHING}/digests", 404),
    ("GET", "/v1/channels/escuela/bundles/x/y/digests", 404),
    ("GET", f"/v1/bundles/{NOTHING}", 404),
    ("GET", "/v1/bundles/..%2F..%2Fhub.db", 404),
    ("GET", "/v1/objects/x", 404),
    ("GET", "/v1/manifests/x", 404),
    ("GET", "/v1/root/0", 404),
    ("GET", "/v1/root/-1", 404),
    ("GET", "/v1/root/99999999999999999999", 404),
    ("GET", "/v1/root/%C2%B2", 404),
    ("GET", "/v1", 404),
    ("GET", "/v1/nada", 404),
    ("GET", "/nada", 404),
    ("POST", "/v1/root/1", 405),
    ("DELETE", "/v1/samples", 405),
    ("GET", "/v1/samples", 405),
    ("POST", "/v1/samples", 400),
    ("POST", "/v1/events", 400),
]


async def test_every_refusal_is_typed(client: Client) -> None:
    for method, path, status in REFUSED:
        answer = await client.request(method, path)
        assert (answer.status, answer.content_type) == (status, "application/json"), path
        told = json.loads(await answer.read())
        assert set(told) == {"error", "hint"}
        assert told["error"]
        assert ("Allow" in answer.headers) == (status == 405)


async def test_a_damaged_object_is_the_hubs_fault_and_says_so(world: World, client: Client) -> None:
    root = world.publish()
    data = world.hub.shelf.manifest(root)
    assert data is not None
    name = from_bytes(data).entries[0].hash
    path = world.config.published / "objects" / name[:2] / name
    path.write_bytes(b"rot")
    answer = await client.get(f"/v1/objects/{name}")
    assert answer.status == 500
    assert "damaged" in (await answer.json())["error"]


async def test_a_bundle_is_refused_to_who_holds_another_file(world: World, client: Client) -> None:
    root = world.publish()
    offer = world.hub.shelf.offer(CHANNEL.id, "none", root)
    assert offer is not None
    path = f"/v1/bundles/{offer.bundle}"
    wrong = await client.get(path, headers={"If-Match": f'"{NOTHING}"', "Range": "bytes=5-"})
    assert (wrong.status, (await wrong.json())["error"]) == (
        412, "this is not the file that If-Match names",
    )  # fmt: skip
    spliced = await client.get(path, headers={"If-Range": f'"{NOTHING}"', "Range": "bytes=5-"})
    assert (spliced.status, len(await spliced.read())) == (200, offer.size)
    past = await client.get(path, headers={"Range": f"bytes={offer.size}-"})
    assert past.status == 416
    assert past.headers["Content-Range"] == f"bytes */{offer.size}"


async def test_reports_are_stored_once_each(world: World, client: Client) -> None:
    sink = HttpSink(client.session, url(client))
    assert [await sink.samples(samples(0)), await sink.samples(samples(0))] == [True, False]
    body = events(0, missed("el eclipse"))
    assert [await sink.events(body), await sink.events(body)] == [True, False]
    assert [m.query for m in world.library.missed_searches()] == ["el eclipse"]


async def test_a_clock_ahead_is_refused_for_good_and_counted(client: Client) -> None:
    sink = HttpSink(client.session, url(client))
    with pytest.raises(RefusedError):
        await sink.samples(samples(0, at=NOW + 3600))
    shown = await (await client.get("/metrics")).text()
    assert 'chaski_hub_blocks_total{kind="samples",outcome="clock"} 1.0' in shown


async def test_a_body_past_the_limit_is_not_read(client: Client) -> None:
    body = io.BytesIO(b"x" * (MAX_BLOCK_BYTES + 1))
    too_long = await client.post("/v1/samples", data=body)
    assert too_long.status == 413

    async def endless() -> object:
        while True:
            yield b"x" * 65536

    chunked = await client.post("/v1/samples", data=endless())
    assert chunked.status == 413


async def test_a_sender_that_stalls_is_told_and_cut_off(world: World) -> None:
    body = samples(0)
    head = f"POST /v1/samples HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(body)}\r\n\r\n"
    async with world.served(stall_seconds=0.05) as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(head.encode() + body[:-1])
        answer = await reader.readuntil(b"\r\n")
        writer.close()
        await writer.wait_closed()
    assert answer == b"HTTP/1.1 408 Request Timeout\r\n"


async def test_a_compressed_body_is_not_unpacked(client: Client) -> None:
    answer = await client.post("/v1/samples", data=b"x", headers={"Content-Encoding": "br"})
    assert answer.status in (400, 415)


async def test_metrics_speak_both_dialects_and_know_the_version(
    world: World, client: Client
) -> None:
    world.publish()
    await client.post("/v1/samples", data=samples(0))
    plain = await client.get("/metrics")
    text = await plain.text()
    assert plain.content_type == "text/plain"
    assert 'chaski_hub_published_version{channel="escuela"} 1.0' in text
    assert "chaski_hub_nodes 1.0" in text
    assert 'chaski_hub_requests_total{route="/v1/samples",status="200"} 1.0' in text
    openmetrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert openmetrics.content_type == "application/openmetrics-text"
    assert (await openmetrics.text()).endswith("# EOF\n")


async def test_strangers_cannot_add_series(client: Client) -> None:
    for number in range(5):
        await client.get(f"/nada/{number}")
        await client.get(f"/v1/objects/{number}")
        await client.get(f"/studio/nada/{number}")
    text = await (await client.get("/metrics")).text()
    assert 'route="unknown",status="404"} 10.0' in text
    assert 'route="/v1/objects/{digest}",status="404"} 5.0' in text


async def test_health_tells_version_and_nodes(world: World, client: Client) -> None:
    empty = await (await client.get("/healthz")).json()
    assert empty == {"ok": True, "channel": "escuela", "version": 0, "nodes": 0}
    world.publish()
    assert (await (await client.get("/healthz")).json())["version"] == 1


async def test_the_front_door_leads_to_the_studio(client: Client) -> None:
    answer = await client.get("/", allow_redirects=False)
    assert answer.headers["Location"] == "/studio/revision"
    assert answer.headers["Server"] == "chaski"


async def test_a_head_travels_packed_and_only_when_it_changed(world: World, client: Client) -> None:
    world.publish()
    kept = world.hub.shelf.head(CHANNEL.id)
    assert kept is not None
    answer = await client.get(
        f"/v1/channels/{CHANNEL.id}/head", headers={"Accept": f"{PACKED_TYPE}, application/json"}
    )
    packed = await answer.read()
    assert len(packed) < len(kept) / 3
    assert (answer.content_type, unpack_head(packed)) == (PACKED_TYPE, kept)
    source = HttpSource(client.session, url(client))
    assert await source.head(CHANNEL.id) == await source.head(CHANNEL.id) == kept
    world.hub.write(a_lesson(body=("Otra vez.",)))
    world.publish()
    assert await source.head(CHANNEL.id) == world.hub.shelf.head(CHANNEL.id) != kept
    text = (await (await client.get("/metrics")).read()).decode()
    assert '/head",status="304"} 1.0' in text
