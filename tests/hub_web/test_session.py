"""Who is at the studio, and what keeps others out."""

from pathlib import Path

import pytest
from yarl import URL

from hub.studio.frame import local
from hub.studio.session import COOKIE, HEADERS, session_key
from hub.users import Users
from sync.errors import SettingsError
from tests.hub_web.world import CHEAP, Browser, Client, World


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "studio.key"
    key = session_key(path)
    assert len(key) == 32
    assert session_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("fault", ["readable", "short", "folder"])
def test_a_key_that_cannot_be_trusted_is_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "studio.key"
    if fault == "folder":
        path.mkdir(mode=0o700)
    else:
        path.write_bytes(b"k" * (32 if fault == "readable" else 5))
        path.chmod(0o644 if fault == "readable" else 0o600)
    with pytest.raises(SettingsError) as caught:
        session_key(path)
    assert caught.value.hint


async def test_a_stranger_is_sent_to_the_door_and_then_to_the_page(
    world: World, client: Client
) -> None:
    browser = Browser(client)
    await browser.get("/studio/lecciones?q=papas")
    assert browser.path == "/studio/entrar"
    assert 'name="de" value="/studio/lecciones?q=papas"' in browser.page
    await browser.post(
        "/studio/entrar", name=" Rosa ", password=world.passwords["rosa"],
        de="/studio/lecciones?q=papas",
    )  # fmt: skip
    assert (browser.status, browser.path) == (200, "/studio/lecciones")
    assert "rosa · editor" in browser.text


async def test_a_wrong_password_says_nothing_of_the_name(world: World, client: Client) -> None:
    browser = Browser(client)
    wrong = await browser.sign_in("rosa", "no")
    assert browser.status == 401
    nobody = await browser.sign_in("nadie", "no")
    assert wrong == nobody
    assert "El nombre y la contraseña no coinciden." in nobody


async def test_guessing_is_slowed_even_with_the_right_password(
    world: World, client: Client
) -> None:
    browser = Browser(client)
    for _ in range(5):
        await browser.sign_in("rosa", "no")
    told = await browser.sign_in("rosa", world.passwords["rosa"])
    assert browser.status == 429
    assert "Demasiados intentos" in told
    shown = await (await client.get("/metrics")).text()
    assert 'chaski_hub_sign_ins_total{outcome="wrong"} 5.0' in shown
    assert 'chaski_hub_sign_ins_total{outcome="throttled"} 1.0' in shown


async def test_the_cookie_is_sealed_and_kept_from_scripts_and_other_sites(
    rosa: Browser, client: Client
) -> None:
    answer = await client.get("/studio/entrar", allow_redirects=False)
    assert answer.status == 303
    cookie = client.session.cookie_jar.filter_cookies(client.make_url("/studio/"))[COOKIE]
    assert "rosa" not in cookie.value
    client.session.cookie_jar.clear()
    fresh = await client.get("/studio/entrar")
    (header,) = fresh.headers.getall("Set-Cookie")
    for word in ("HttpOnly", "SameSite=Lax", "Path=/studio", "Max-Age="):
        assert word in header
    assert client.session.cookie_jar.filter_cookies(URL(client.make_url("/v1/x"))) == {}


@pytest.mark.parametrize("value", ["x", "\u00e9", "gAAAAA" + "A" * 100, ""])
async def test_a_forged_cookie_is_no_session(client: Client, value: str) -> None:
    headers = {"Cookie": f"{COOKIE}={value}"}
    answer = await client.get("/studio/revision", headers=headers, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (
        303, "/studio/entrar?de=/studio/revision",
    )  # fmt: skip


async def test_leaving_ends_the_session(rosa: Browser) -> None:
    await rosa.get("/studio/revision")
    await rosa.post("/studio/salir")
    await rosa.get("/studio/revision")
    assert rosa.path == "/studio/entrar"


async def test_a_new_password_ends_sessions_at_once(world: World, rosa: Browser) -> None:
    with Users(world.config.users, CHEAP) as users:
        users.renew("rosa")
    await rosa.get("/studio/revision")
    assert rosa.path == "/studio/entrar"


@pytest.mark.parametrize("token", ["", "forged"])
async def test_a_form_from_another_site_does_nothing(
    world: World, rosa: Browser, token: str
) -> None:
    number = world.draft()
    told = await rosa.post(f"/studio/revision/{number}/aprobar", token=token)
    assert rosa.status == 403
    assert "El formulario venció" in told
    assert world.library.candidate(number).state == "waiting"


async def test_signing_in_needs_the_form_too(world: World, client: Client) -> None:
    data = {"name": "rosa", "password": world.passwords["rosa"]}
    answer = await client.post("/studio/entrar", data=data)
    assert answer.status == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"a=%ff" + b"a" * 40_000, 413), (b"\xff\xfe", 400), (b"&".join([b"a=1"] * 30), 400)],
)
async def test_a_form_is_bounded(client: Client, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post("/studio/entrar", data=body, headers=headers)).status == status


@pytest.mark.parametrize("path", ["/studio", "/studio/entrar", "/studio/nada", "/studio/revision"])
async def test_every_answer_carries_the_policy(client: Client, path: str) -> None:
    answer = await client.get(path, allow_redirects=False)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "script" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/studio/nodos?x=1", "/studio/nodos?x=1"),
        ("https://example.org/", "/studio/revision"),
        ("//example.org/studio/", "/studio/revision"),
        ("/studio/\r\nSet-Cookie: a=b", "/studio/revision"),
        ("/studio/\\example.org", "/studio/revision"),
        ("/studio/" + "a" * 600, "/studio/revision"),
        (None, "/studio/revision"),
    ],
)
def test_nobody_is_sent_to_another_site(target: str | None, expected: str) -> None:
    assert local(target) == expected
