"""Errand: asks the node that owns the data folder, by its portal, to do what we may not.

The portal takes orders from its own pages only; on this machine we may speak as one of them.
"""

import aiohttp
import msgspec

from node.config import PortalTable
from node.outcome import Outcome, from_bytes
from node.preview import MAX_PREVIEW_BYTES, Preview
from sync.canonical import decode
from sync.errors import BusyError, TransportError

ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - read, not listened on
AS_OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json"}


class _Refused(msgspec.Struct):
    error: str
    hint: str = ""


async def import_through(portal: PortalTable, folder: str) -> Outcome:
    """What the running node says after it imported from the stick at `folder`.

    Raises BusyError: its portal cannot be found. TransportError: it did not do it.
    """
    data = await _order(portal, "/salud/importar", {"stick": folder})
    return from_bytes(data)


async def look_through(portal: PortalTable) -> Preview:
    """What the running node says after it looked at the hub. Raises as `import_through`."""
    data = await _order(portal, "/sincronizar/ver", {})
    return decode(data, Preview, limit=MAX_PREVIEW_BYTES, what="preview")


async def _order(portal: PortalTable, path: str, form: dict[str, str]) -> bytes:
    if portal.port == 0:
        raise BusyError(
            "a node runs, on a port that is not in its settings", hint="set portal.port"
        )
    url = f"http://{ANY.get(portal.host, portal.host)}:{portal.port}{path}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.post(url, data=form, headers=AS_OWN_PAGE) as answer,
        ):
            data = await answer.read()
            if answer.status == 200:
                return data
            said = msgspec.json.decode(data, type=_Refused)
    except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
        raise BusyError(
            f"a node owns the data folder, but {url} does not answer: {error}",
            hint="start its portal, or stop it and run this again",
        ) from error
    raise TransportError(said.error, said.hint)
