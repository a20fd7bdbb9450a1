"""HTTP: a Source and a Sink over one aiohttp session, to one hub.

* Ranges go with If-Match, never If-Range; Content-Range is checked; a 200 is cut to what was
  asked for; an end before the announced one is a failure.
* No content coding: bundles are packed already, and their ranges count packed bytes.
* Silence longer than `read_s` ends a request, and so does a trickle: of each `window_s`, so
  many bytes a second must come that the slowest real link is faster. Answers have a limit of
  bytes.
* A web page is never an answer of the hub's: it is a captive portal's.
* A block is refused only when the hub itself says so; whatever a mirror or a proxy says is
  trouble that passes.
* The session belongs to the caller. Foreign exceptions become TransportError here.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from sync.bundle.digests import MAX_DIGESTS_BYTES
from sync.bundle.header import MAX_WHOLE_BYTES
from sync.bundle.offer import MAX_OFFER_BYTES, Offer
from sync.canonical import Digest, decode, parse_digest
from sync.errors import ContentError, TransportError
from sync.head import PACKED_TYPE, unpack_head
from sync.transport import MAX_SMALL_BYTES, RefusedError, answered, base_name, gathered, slug

READ_BYTES = 16 * 1024
LEAST_BYTES_PER_S = 16
"""Of an answer that is not at its end; a 2G link gives sixty times as much."""
TRANSIENT = frozenset({408, 425, 429})
"""Client errors that pass; so do all of the server's own (5xx)."""
FINAL = frozenset({400, 413, 422})
"""What a hub says of a block that it will never take."""
PAGE = "text/html"

_PORTAL = "somebody may have to sign in to this network first; or the address is not a hub's"
_PROXY = "a proxy on the way does what it should not; use HTTPS or another road"
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)\Z")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, of silence, and over which the least speed is measured.

    There is none for a whole transfer.

    Both are longer than the half minute that a full buffer before a thin link takes.
    """

    connect_s: float = 40.0
    read_s: float = 60.0
    window_s: float = 60.0


class _Stored(msgspec.Struct):
    stored: bool


class _Client:
    """What source and sink share: a request, and every way in which it can fail."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        timeouts: Timeouts | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds, for the least speed."""
        timeouts = timeouts or Timeouts()
        self._clock, self._window_s = clock, timeouts.window_s
        self._head_s = timeouts.connect_s + 2 * timeouts.read_s
        self._session = session
        self._url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=timeouts.connect_s, sock_read=timeouts.read_s
        )

    @contextlib.asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._url + path
        # A header that trickles in is never silent: it has its time, as the body sent up has.
        patience = self._head_s + len(data or b"") / LEAST_BYTES_PER_S
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(patience):
                    response = await stack.enter_async_context(
                        self._session.request(
                            method,
                            url,
                            headers={"Accept-Encoding": "identity", **(headers or {})},
                            data=data,
                            timeout=self._timeout,
                            allow_redirects=False,
                        )
                    )
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise TransportError(
                        f"{url}: the answer was re-coded on the way",
                        hint=_PROXY,
                    )
                if response.status < 300 and response.content_type == PAGE:
                    raise TransportError(
                        f"{url}: a web page instead of the hub's answer", hint=_PORTAL
                    )
                yield response
        except TimeoutError as error:
            raise TransportError(
                f"{url}: silent for too long", hint="the link may be down; it is tried again"
            ) from error
        except (aiohttp.ClientError, OSError, UnicodeError) as error:  # a name DNS cannot have
            raise TransportError(
                f"{url}: {error or type(error).__name__}",
                hint="see that the hub runs and its address is right",
            ) from error

    async def _whole(self, path: str, limit: int) -> bytes | None:
        """All of a small answer; None for 404."""
        async with self._request("GET", path) as response:
            if response.status == 404:
                return None
            _expect(response, 200)
            return await self._bounded(response, limit)

    async def _bounded(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """The body, of at most `limit` bytes."""
        body = bytearray()
        async for piece in self._pieces(response):
            body += piece
            if len(body) > limit:
                raise TransportError(
                    f"{response.url}: more than the {limit} bytes allowed", hint=_PROXY
                )
        return bytes(body)

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises TransportError when it only trickles."""
        waited, came = 0.0, 0
        asked = self._clock()
        async for piece in response.content.iter_chunked(READ_BYTES):
            waited += self._clock() - asked  # what the reader does meanwhile is its own affair
            came += len(piece)
            yield piece
            if waited >= self._window_s:
                if came < waited * LEAST_BYTES_PER_S:
                    raise TransportError(
                        f"{response.url}: {came} bytes in {waited:.0f} s",
                        hint="the link is all but dead, or somebody holds it up; tried again later",
                    )
                waited, came = 0.0, 0
            asked = self._clock()


class HttpSource(_Client):
    """A hub that gives. See `Source`. A head that did not change is not sent again."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        timeouts: Timeouts | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(session, base_url, timeouts, clock=clock)
        self._heads: dict[str, tuple[str, bytes]] = {}

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        etag, held = self._heads.get(channel, ("", b""))
        headers = {"Accept": f"{PACKED_TYPE}, application/json"}
        if etag:
            headers["If-None-Match"] = etag
        path = f"/v1/channels/{slug(channel)}/head"
        async with self._request("GET", path, headers=headers) as response:
            if etag and response.status == 304:
                return held
            if response.status == 404:
                raise self._missing(path)
            _expect(response, 200)
            data = await self._bounded(response, MAX_SMALL_BYTES)
        if response.content_type == PACKED_TYPE:
            data = unpack_head(data)
        if "ETag" in response.headers:
            self._heads[channel] = response.headers["ETag"], data
        return data

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        return await self._whole(f"/v1/root/{number:d}", MAX_SMALL_BYTES)

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        path = f"/v1/channels/{slug(channel)}/bundles/{base_name(base)}/{parse_digest(target)}"
        data = await self._whole(path, MAX_OFFER_BYTES)
        return None if data is None else answered(data, channel, base, target)

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`."""
        path = f"/v1/channels/{slug(channel)}/bundles/{base_name(base)}/{parse_digest(target)}"
        return await self._whole(f"{path}/digests", MAX_DIGESTS_BYTES)

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        return await self._there(f"/v1/objects/{parse_digest(name)}", MAX_WHOLE_BYTES)

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        path = f"/v1/bundles/{parse_digest(bundle)}"
        headers = {"Range": f"bytes={start}-{stop - 1}", "If-Match": f'"{bundle}"'}
        async with self._request("GET", path, headers=headers) as response:
            at = start
            pieces = self._pieces(response)
            async for piece in _from(response, pieces, bundle, start, stop):
                at += len(piece)
                yield piece
            if at < stop:
                raise TransportError(
                    f"{response.url}: ended {stop - at} bytes early",
                    hint="the rest is asked for again",
                )

    async def _there(self, path: str, limit: int) -> bytes:
        data = await self._whole(path, limit)
        if data is None:
            raise self._missing(path)
        return data

    def _missing(self, path: str) -> RefusedError:
        return RefusedError(
            f"{self._url}{path}: not found", hint="see that the hub serves this channel"
        )


class HttpSink(_Client):
    """A hub that takes. See `Sink`; RefusedError for a block that it will never take."""

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._post("/v1/samples", block)

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._post("/v1/events", block)

    async def _post(self, path: str, block: bytes) -> bool:
        headers = {"Content-Type": "application/octet-stream"}
        async with self._request("POST", path, headers=headers, data=block) as response:
            if response.status in FINAL and response.content_type == "application/json":
                _expect(response, 200)
            elif response.status != 200:
                raise TransportError(
                    f"{response.url}: {response.status} {response.reason}",
                    hint="no hub takes blocks here now; they wait",
                )
            data = await self._bounded(response, MAX_SMALL_BYTES)
        try:
            return decode(data, _Stored, limit=MAX_SMALL_BYTES, what=f"{path} answer").stored
        except ContentError as error:
            raise TransportError(str(error), hint="this is not the hub's answer") from error


def _expect(response: aiohttp.ClientResponse, *statuses: int) -> None:
    """Raises RefusedError, or TransportError where it may pass, for any other status."""
    status = response.status
    if status in statuses:
        return
    message = f"{response.url}: {status} {response.reason}"
    if status >= 500 or status in TRANSIENT:
        raise TransportError(message, hint="the hub is in trouble; it is tried again later")
    raise RefusedError(message, hint="see that the hub's address and version are right")


async def _from(
    response: aiohttp.ClientResponse,
    pieces: AsyncIterator[bytes],
    bundle: Digest,
    start: int,
    stop: int,
) -> AsyncGenerator[bytes, None]:
    """The body cut to `start`-`stop`, whichever part of `bundle` it is."""
    _expect(response, 200, 206)
    if response.headers.get("ETag", f'"{bundle}"') != f'"{bundle}"':
        raise RefusedError(f"{response.url}: another file is under this address", hint=_PROXY)
    at = start
    if response.status == 200:
        at = 0
    elif (said := response.headers.get("Content-Range", "")) and not _covers(said, start, stop):
        raise TransportError(
            f"{response.url}: asked for {start}-{stop - 1}, got {said!r}", hint=_PROXY
        )
    elif not said:
        raise TransportError(f"{response.url}: a part that does not say which", hint=_PROXY)
    async for piece in pieces:
        wanted = piece[max(0, start - at) : max(0, stop - at)]
        at += len(piece)
        if wanted:
            yield wanted
        if at >= stop:
            return


def _covers(said: str, start: int, stop: int) -> bool:
    """True when the Content-Range `said` begins at `start` and does not go past `stop`."""
    found = _RANGE.match(said)
    return found is not None and int(found[1]) == start and start <= int(found[2]) < stop
