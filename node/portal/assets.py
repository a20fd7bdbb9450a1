"""Assets: the style, script and icon of the portal, held in memory under names with a hash.

* `/static/portal.1a2b3c4d.css` never changes, so a phone asks for it once in its life.
* Compressed once, at start, as hard as gzip can.
* A name with an old hash still gets the file of today: a page from before an upgrade must
  not lose its style; such an answer is not to be kept.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from aiohttp import web

from node.portal.delivery import accepts_gzip

FOLDER = Path(__file__).parent / "static"
TYPES = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file."""

    mark: str
    content_type: str
    data: bytes
    gzipped: bytes


class Assets:
    """All files of a folder, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {path.name: _read(path) for path in sorted(folder.iterdir())}

    def url(self, name: str) -> str:
        """The address of file `name`. Raises KeyError when there is none."""
        stem, dot, suffix = name.rpartition(".")
        return f"/static/{stem}.{self._assets[name].mark}{dot}{suffix}"

    async def serve(self, request: web.Request) -> web.Response:
        """GET /static/{stem}.{mark}.{suffix}"""
        parts = request.match_info["name"].split(".")
        asset = self._assets.get(f"{parts[0]}.{parts[-1]}") if len(parts) == 3 else None
        if asset is None:
            raise web.HTTPNotFound
        zipped = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        headers = {
            "Content-Type": asset.content_type,
            "Cache-Control": FOREVER if parts[1] == asset.mark else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=asset.gzipped if zipped else asset.data, headers=headers)


def _read(path: Path) -> Asset:
    data = path.read_bytes()
    return Asset(
        mark=hashlib.sha256(data).hexdigest()[:8],
        content_type=TYPES[path.suffix],
        data=data,
        gzipped=gzip.compress(data, 9, mtime=0),
    )
