"""A lesson's Markdown becomes HTML that can do no harm and promises nothing that is not here."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.portal.markdown import Blocks

BLOCKS = Blocks()


def test_prose_lists_and_tables_are_rendered() -> None:
    assert BLOCKS.html("El **ayni** es *ayuda*.") == (
        "<p>El <strong>ayni</strong> es <em>ayuda</em>.</p>\n"
    )
    assert '<ol start="3">' in BLOCKS.html("3. tres\n4. cuatro")
    table = BLOCKS.html("| Mes | mm |\n|---|---:|\n| Enero | 120 |")
    assert table.startswith('<div class="table" tabindex="0"><table>')
    assert '<td class="right">120</td>' in table
    assert "style=" not in table


def test_the_page_keeps_its_only_first_heading() -> None:
    assert BLOCKS.html("# Título") == "<h2>Título</h2>\n"


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "uno <img src=x onerror=alert(1)> dos",
        "[pulsa](javascript:alert(1))",
        "[pulsa](data:text/html;base64,PHNjcmlwdD4=)",
        "[a](</b onmouseover=alert(1)>)",
        '[a](/b "t\\" onclick=alert(1)")',
        "![x](javascript:alert(1))",
        "<javascript:alert(1)>",
    ],
)
def test_nothing_runs(attack: str) -> None:
    html = str(BLOCKS.html(attack))
    assert "<script" not in html
    assert "<img" not in html
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', html))
    assert not re.search(r'href="(javascript|data):', html)


def test_a_link_to_the_internet_is_text_with_its_address() -> None:
    html = BLOCKS.html("Mira [el mapa](https://example.org/mapa), [la papa](/leccion/papa).")
    assert "el mapa (https://example.org/mapa)" in html
    assert '<a href="/leccion/papa">la papa</a>' in html
    assert "<a" not in BLOCKS.html("[x](//example.org)")


def test_a_picture_is_told_by_its_description() -> None:
    assert '<span class="picture">Un quipu &lt;rojo&gt;</span>' in BLOCKS.html(
        "![Un *quipu* <rojo>](assets/q.png)"
    )


@given(st.text(alphabet="<>[]()!|#*_`&\"'=/:\\\n -aé", max_size=120))
def test_any_text_renders_without_foreign_tags(text: str) -> None:
    allowed = (
        "p|h[2-6]|ul|ol|li|strong|em|code|pre|blockquote|hr /|br /|a|table|thead|tbody|tr|th|td"
    )
    for tag in re.findall(r"<(/?[^>\s]*(?: /)?)", str(BLOCKS.html(text))):
        assert re.fullmatch(rf"/?({allowed}|div|span|hr|br)", tag), tag
