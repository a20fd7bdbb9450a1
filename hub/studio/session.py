"""Session: who is at the studio, and what keeps others out.

* The session is one encrypted cookie (HttpOnly, SameSite=Lax, Secure under https), its key a
  file that only its owner reads, made on the first run. It holds a name, the stamp of its
  password, a form token and one message; the rest is looked up at every request, so a changed
  role or password counts at once.
* Every POST must carry the form token, the sign-in too. Bodies are bounded and read with a
  stall limit; fields are text, no files.
* Every answer carries a policy that allows this server's own style sheet and pictures, and
  nothing else: no script, no frame, no other site.
* Names that guess wait (`Throttle`), and hashing has a thread and a queue of its own, so that
  guessing cannot slow the desk down.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp_session import Session
from aiohttp_session.cookie_storage import EncryptedCookieStorage

from hub.answers import RefusedError
from hub.server import read_body
from hub.studio.words import Words, chosen, preferred
from hub.users import MAX_NAME_CHARS, MAX_PASSWORD_CHARS, Passwords, Throttle, User, Users
from hub.worker import Worker
from sync.errors import SettingsError
from sync.files import atomic_write

COOKIE = "chaski_studio"
LANGUAGE_COOKIE = "chaski_language"
SESSION_SECONDS = 12 * 3600
MAX_FORM_BYTES = 32 * 1024
MAX_FIELDS = 20
FORM_STALL_SECONDS = 20.0
KEY_BYTES = 32
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
Note = tuple[str, dict[str, str]]
"""A message for the next page: a key of the words, and its values."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, in which language, with the form token of the session."""

    user: User | None
    words: Words
    token: str

    @property
    def edits(self) -> bool:
        """True when this visitor may decide and publish."""
        return self.user is not None and self.user.edits


SESSION = web.RequestKey("session", Session)
VISITOR = web.RequestKey("visitor", Visitor)
FORM = web.RequestKey("form", Mapping[str, str])


def session_key(path: Path) -> bytes:
    """The key of the cookies, made when missing. Raises SettingsError when it is unusable."""
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others", hint=f"chmod 600 {path}")
        key = path.read_bytes()
    except FileNotFoundError:
        key = os.urandom(KEY_BYTES)
        atomic_write(path, key, mode=0o600)
    except OSError as error:
        raise SettingsError(
            f"session key {path}: {error.strerror}", hint="the hub's user must own it"
        ) from error
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"session key {path}: {len(key)} bytes", hint="remove it; everybody signs in again"
        )
    return key


class Storage(EncryptedCookieStorage):
    """The encrypted cookie; what cannot be read at all is no session either."""

    def __init__(self, key: bytes, *, secure: bool) -> None:
        super().__init__(
            key,
            cookie_name=COOKIE,
            max_age=SESSION_SECONDS,
            path="/studio",
            secure=secure,
            httponly=True,
            samesite="Lax",
        )

    def load_cookie(self, request: web.Request) -> str | None:
        """The cookie's text; None for one that is not even ASCII."""
        cookie = super().load_cookie(request)
        return cookie if cookie and cookie.isascii() else None


def kept(storage: Storage) -> Middleware:
    """Reads the session before a page and saves it after, when the page changed it.

    aiohttp_session's own middleware keeps it under a text key, of which aiohttp 3.14 warns.
    """

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[SESSION] = session = await storage.load_session(request)
        before = dict(session)
        response: web.StreamResponse
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            if dict(session) != before:
                await storage.save_session(request, answer, session)
            raise
        if dict(session) != before:
            await storage.save_session(request, response, session)
        return response

    return keep


class Door:
    """Signs users in and out, and knows who is inside."""

    def __init__(
        self,
        users: Users,
        clerk: Worker,
        passwords: Passwords,
        hasher: Worker,
        throttle: Throttle,
    ) -> None:
        self._users, self._clerk = users, clerk
        self._passwords, self._hasher = passwords, hasher
        self._throttle = throttle

    async def visitor(self, request: web.Request) -> Visitor:
        """Who sent `request`."""
        session = request[SESSION]
        user = await self._user(session)
        language = chosen(request.cookies.get(LANGUAGE_COOKIE))
        accept = request.headers.get("Accept-Language", "")
        return Visitor(user, Words(language or preferred(accept)), session.get("token", ""))

    async def _user(self, session: Session) -> User | None:
        name = session.get("user")
        if not isinstance(name, str):
            return None
        user = await self._clerk.call(self._users.find, name)
        return user if user and user.stamp == session.get("stamp") else None

    async def enter(
        self, request: web.Request, name: str, password: str
    ) -> User | Literal["wrong"] | float:
        """The user when they match, else "wrong", else the seconds to wait before trying."""
        name, password = name.strip().lower()[:MAX_NAME_CHARS], password.strip()
        address = request.remote or ""
        if wait := self._throttle.wait(name, address):
            return wait
        if len(password) > MAX_PASSWORD_CHARS:
            password = ""
        # Counted before the slow comparison: a hundred guesses at once are a hundred guesses.
        self._throttle.failed(name, address)
        user = await self._clerk.call(self._users.find, name)
        right = await self._hasher.call(self._passwords.matches, user, password)
        if not right or user is None:
            return "wrong"
        self._throttle.succeeded(name, address)
        session = request[SESSION]
        session.invalidate()
        session.update(user=user.name, stamp=user.stamp, token=secrets.token_urlsafe(24))
        return user

    def leave(self, request: web.Request) -> None:
        """Ends the session in this browser."""
        request[SESSION].invalidate()


def form_token(request: web.Request) -> str:
    """The form token of this session, made when there is none."""
    session = request[SESSION]
    if not session.get("token"):
        session["token"] = secrets.token_urlsafe(24)
    return str(session["token"])


def leave_note(request: web.Request, key: str, **values: object) -> None:
    """A message for the next page that this visitor sees."""
    session = request[SESSION]
    session["note"] = [key, {name: str(value) for name, value in values.items()}]


def take_note(request: web.Request) -> Note | None:
    """The message left for this page; it is shown once."""
    session = request[SESSION]
    note = session.pop("note", None)
    return (note[0], note[1]) if note else None


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a posted form. Raises RefusedError: too long, too many, no form token."""
    body = await read_body(request, MAX_FORM_BYTES, FORM_STALL_SECONDS)
    try:
        fields = dict(parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise RefusedError(400, "form", "this is not a form") from error
    session = request[SESSION]
    expected = session.get("token") or secrets.token_urlsafe(24)
    if not hmac.compare_digest(expected.encode(), fields.get("token", "").encode()):
        raise RefusedError(403, "form", "the form token does not fit the session")
    return fields


@web.middleware
async def secured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Puts the policy on every answer of the studio, errors and redirects too."""
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        _protect(answer)
        raise
    _protect(response)
    return response


def _protect(response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
