"""Errand: asks the node that owns the data folder, by its portal, to do what we may not.

The portal takes orders from its own pages only; on this machine we may speak as one of them.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TypeVar

import aiohttp
import msgspec

from node.config import PortalTable
from node.handing import Handed
from node.outcome import MAX_OUTCOME_BYTES, Outcome
from node.preview import MAX_PREVIEW_BYTES, Preview
from sync.canonical import decode
from sync.errors import BusyError, TransportError

ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - read, not listened on
AS_OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
MAX_ANSWER_BYTES = max(MAX_OUTCOME_BYTES, MAX_PREVIEW_BYTES)

T = TypeVar("T")


class _Refused(msgspec.Struct):
    error: str
    hint: str = ""


async def hand_in_through(
    portal: PortalTable, fields: Mapping[str, str], files: Sequence[tuple[str, bytes]]
) -> Handed:
    """What the running node says after it took the lesson of `fields` and `files`.

    Raises as `import_through`.
    """
    form = aiohttp.FormData(fields, default_to_multipart=True)
    for name, data in files:
        form.add_field("files", BytesIO(data), filename=name)
    return await _ask(portal, "/entregar", form, Handed)


async def import_through(portal: PortalTable, folder: str) -> Outcome:
    """What the running node says after it imported from the stick at `folder`.

    Raises BusyError: its portal cannot be found. TransportError: it did not do it.
    """
    return await _ask(portal, "/salud/importar", {"stick": folder}, Outcome)


async def look_through(portal: PortalTable) -> Preview:
    """What the running node says after it looked at the hub. Raises as `import_through`."""
    return await _ask(portal, "/sincronizar/ver", {}, Preview)


async def _ask(
    portal: PortalTable, path: str, data: aiohttp.FormData | dict[str, str], kind: type[T]
) -> T:
    """What the running node answers to a form. Raises as `import_through`."""
    if portal.port == 0:
        raise BusyError(
            "a node runs, on a port that is not in its settings", hint="set portal.port"
        )
    url = f"http://{ANY.get(portal.host, portal.host)}:{portal.port}{path}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.post(url, data=data, headers=AS_OWN_PAGE) as answer,
        ):
            body = await answer.read()
            if answer.status == 200:
                return decode(body, kind, limit=MAX_ANSWER_BYTES, what="the portal's answer")
            said = msgspec.json.decode(body, type=_Refused)
    except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
        raise BusyError(
            f"a node owns the data folder, but {url} does not answer: {error}",
            hint="start its portal, or stop it and run this again",
        ) from error
    raise TransportError(said.error, said.hint)
