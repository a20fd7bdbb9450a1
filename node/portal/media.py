"""Media: what a file is to a browser: its type, address, sign, and what it may do. Pure.

* Types come from a list, never from the bytes; what is not in it is saved, not shown.
* What a browser would run (HTML, SVG) stands in a sandbox without scripts.
"""

from types import MappingProxyType
from urllib.parse import quote

from node.portal.assets import FOREVER
from node.store.files import File, FileCard
from sync.ranges import tag

AGAIN = "no-cache, no-transform"
SAVED = "application/octet-stream"
TYPES = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8",
        ".epub": "application/epub+zip", ".gif": "image/gif",
        ".h5p": "application/zip", ".html": "text/html; charset=utf-8",
        ".htm": "text/html; charset=utf-8", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
        ".m4a": "audio/mp4", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".oga": "audio/ogg",
        ".ogg": "audio/ogg", ".ogv": "video/ogg", ".opus": "audio/ogg",
        ".otf": "font/otf", ".pdf": "application/pdf", ".png": "image/png",
        ".svg": "image/svg+xml", ".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8",
        ".wav": "audio/wav", ".webm": "video/webm", ".webp": "image/webp",
        ".woff": "font/woff", ".woff2": "font/woff2", ".xhtml": "application/xhtml+xml",
        ".zip": "application/zip",
    }
)  # fmt: skip
KEPT = frozenset({".csv", ".epub", ".h5p", ".zip"})
"""What is saved although its type is known."""
_SANDBOX = (
    "sandbox; default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; media-src 'self'; form-action 'none'; base-uri 'none'"
)
_STILL = (
    "default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; "
    "style-src 'unsafe-inline'"
)
_ACTIVE = frozenset({".html", ".htm", ".xhtml", ".svg", ".css"})


def mark(file: File) -> str:
    """What tells this file's bytes from others in an address."""
    return file.digest[:12]


def file_url(file: File) -> str:
    """The address of a file; it changes when the file does."""
    return f"/recurso/{quote(file.path)}?v={mark(file)}"


def icon(card: FileCard) -> str:
    """A sign for the kind of file."""
    kind = TYPES.get(card.file.suffix, SAVED).partition("/")[0]
    signs = {"image": "🖼️", "audio": "🔊", "video": "🎬"}
    if card.file.suffix in (".epub", ".pdf"):
        return "📕"
    return signs.get(kind, "📄")


def headers(file: File, *, fixed: bool) -> dict[str, str]:
    """What an answer says of `file`; `fixed`: its address changes when it does."""
    known = file.suffix in TYPES
    way = "inline" if known and file.suffix not in KEPT else "attachment"
    plain = "".join(c if c.isascii() and c not in '"\\' else "_" for c in file.name)
    return {
        "ETag": tag(file.digest),
        "Accept-Ranges": "bytes",
        "Cache-Control": FOREVER if fixed else AGAIN,
        "Content-Type": TYPES.get(file.suffix, SAVED),
        "Content-Disposition": f"{way}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name)}",
        "Content-Security-Policy": _SANDBOX if file.suffix in _ACTIVE else _STILL,
    }
