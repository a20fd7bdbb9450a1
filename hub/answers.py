"""Answers: how an error leaves the hub over HTTP, typed and counted.

* Everything under /v1, and every unknown path, answers {"error", "hint"} as JSON.
* `status_of` is the one table from an error to a status; what it does not know is our
  defect: it is logged with its traceback here, once, and the client reads 500.
* An overload is 503 with Retry-After; a full disk is 507; what a person must do is in `hint`.
"""

import logging
import sqlite3
import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hub.errors import DecidedError, UnknownError
from hub.metrics import Metrics
from hub.worker import OverloadedError
from sync.canonical import encode
from sync.errors import BusyError, ChaskiError, ContentError, SpaceError
from sync.exits import translate

RETRY_SECONDS = 30
_log = logging.getLogger("chaski.hub")

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (OverloadedError, 503),
    (UnknownError, 404),
    (DecidedError, 409),
    (BusyError, 409),
    (SpaceError, 507),
)
_HINTS = {
    404: "the routes are listed in docs/hub-http.md",
    405: "see the Allow header",
    412: "ask for the offer again",
    413: "send less at once",
    416: "ask for the offer again",
}


class RefusedError(ContentError):
    """The client sent something that is refused; `status` and `reason` say how."""

    def __init__(self, status: int, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason


def status_of(error: Exception) -> int:
    """The HTTP status for `error`; 500 when it is the hub's own fault."""
    if isinstance(error, RefusedError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def known(error: Exception) -> Exception:
    """`error` in our own terms, where it has a plain meaning: a full disk, a locked database."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return OverloadedError(
            "the database is busy", hint="another program writes to it; try again in a minute"
        )
    translated = translate(error)
    return translated if isinstance(translated, Exception) else error


def problem(status: int, error: str, hint: str = "") -> web.Response:
    """The JSON answer for an error."""
    body = encode({"error": error, "hint": hint})
    response = web.Response(status=status, body=body, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def log_defect(request: web.Request, error: Exception) -> None:
    """Logs what is our fault: one line for a known trouble, a traceback for an unknown one."""
    if isinstance(error, ChaskiError):
        _log.error("%s %s: %s", request.method, request.path, error)
    else:
        _log.error("%s %s failed", request.method, request.path, exc_info=error)


@web.middleware
async def typed_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into `problem`. The studio has pages of its own."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        if answer.status < 400:
            raise
        return _typed(answer)
    except Exception as raised:
        error = known(raised)
        status = status_of(error)
        if status >= 500 and status != 503:
            log_defect(request, error)
        if isinstance(error, ChaskiError):
            return problem(status, str(error), error.hint)
        return problem(500, "the hub failed", "its log says why; try again later")


def _typed(answer: web.HTTPException) -> web.Response:
    # aiohttp's default text repeats the status line; a text of ours says more.
    default = not answer.text or answer.text.startswith(str(answer.status))
    words = answer.reason.lower() if default else str(answer.text)
    response = problem(answer.status, words, _HINTS.get(answer.status, ""))
    for name in ("Allow", "Content-Range"):
        if name in answer.headers:
            response.headers[name] = answer.headers[name]
    return response


def counted(metrics: Metrics) -> Middleware:
    """Counts every request by the pattern of its route."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.monotonic()
        status = 500
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            route = route_of(request)
            metrics.requests.labels(route, str(status)).inc()
            metrics.request_seconds.labels(route).observe(time.monotonic() - started)

    return count


def route_of(request: web.Request) -> str:
    """The pattern of the route that answers `request`, or "unknown"."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown"
