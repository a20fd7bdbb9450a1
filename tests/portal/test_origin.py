"""A form counts only when it was sent from our own page."""

import pytest

from node.portal.origin import same_origin

HOST = "chaski.lan:8000"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://chaski.lan:8000"},
        {"Referer": "http://chaski.lan:8000/salud"},
        {"Referer": "http://CHASKI.lan:8000/salud"},
    ],
)
def test_our_own_page_is_believed(headers: dict[str, str]) -> None:
    assert same_origin(headers, HOST)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://chaski.lan:8000"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://chaski.lan"},
        {"Origin": "http://evil.example", "Referer": "http://chaski.lan:8000/"},
        {"Referer": "http://evil.example/?http://chaski.lan:8000/"},
        {"Origin": "http://[chaski.lan:8000"},
    ],
)
def test_everybody_else_is_refused(headers: dict[str, str]) -> None:
    assert not same_origin(headers, HOST)
