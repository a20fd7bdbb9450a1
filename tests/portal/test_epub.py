"""A foreign book read in the portal: its words and pictures, and nothing that acts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_aiohttp.plugin import AiohttpClient

from hub.book import CONTAINER, Book, members
from node.portal.epub import MAX_PAGE_BYTES, Chapter, chapter_html, chapters
from sync.errors import ContentError
from tests.node.village import AT, lesson
from tests.portal.cargo import about, loaded
from tests.portal.conftest import Client
from tests.portal.page import Element, read
from tests.portal.school import CHANNEL, School, school
from tests.portal.test_student import page

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
BOOK = members(
    Book(
        "escuela", "salud", "Salud", "es", "CC-BY-4.0", 0.0,
        (
            lesson("uno", title="Uno & <dos>", body=("![Agua](assets/a.svg)", "Hay agua.")),
            lesson("dos", title="Dos", body=("[Antes](/leccion/uno/es) y [fuera](http://x/).",)),
        ),
        {"assets/a.svg": SVG},
    )
)  # fmt: skip
PATH = "books/salud.epub"
ELEMENTS = {
    "p", "ul", "ol", "li", "dl", "dt", "dd", "b", "strong", "i", "em", "u", "s", "sup", "sub",
    "small", "blockquote", "pre", "code", "table", "thead", "tbody", "tfoot", "tr", "td", "th",
    "caption", "figure", "figcaption", "div", "h2", "h3", "h4", "h5", "h6", "br", "hr", "a", "img",
    "span",
}  # fmt: skip


def clean(text: str) -> str:
    """A chapter of a book whose only other member is a picture and itself."""
    book = {"b/c.xhtml": text.encode("utf-8", "replace"), "b/a.png": b""}
    return str(
        chapter_html(
            book.get, "b/c.xhtml",
            lambda name: "?c=1" if name == "b/c.xhtml" else None,
            lambda name: f"/recurso/{name}" if name == "b/a.png" else None,
        )
    )  # fmt: skip


def harmless(markup: str) -> bool:
    """Only elements and attributes of ours are in it, each closed."""
    found: list[Element] = list(read(markup).all(*ELEMENTS))
    stray = [e for e in everything(read(markup)) if e.tag not in ELEMENTS]
    kinds = {("a", "href"), ("img", "src"), ("img", "alt"), ("img", "class"), ("img", "loading")}
    used = {(e.tag, name) for e in found for name in e.attributes}
    kinds |= {("span", "class"), ("div", "class"), ("div", "tabindex")}
    return not stray and used <= kinds


def everything(element: Element) -> Iterator[Element]:
    for child in element.children:
        if isinstance(child, Element):
            yield child
            yield from everything(child)


def test_our_own_book_is_read_in_order_with_its_titles() -> None:
    assert chapters(BOOK.get) == [
        Chapter("EPUB/chapters/uno.xhtml", "Uno & <dos>"),
        Chapter("EPUB/chapters/dos.xhtml", "Dos"),
        Chapter("EPUB/answers.xhtml", "Respuestas"),
    ]


def test_a_book_without_a_table_of_contents_is_read_by_its_spine() -> None:
    package = """<package><manifest><item id="x" href="t/1.xhtml"/><item id="y" href="2.xhtml"/>
        </manifest><spine><itemref idref="y"/><itemref idref="x"/><itemref idref="z"/></spine>
        </package>"""
    book = {"META-INF/container.xml": CONTAINER.encode(), "EPUB/package.opf": package.encode()}
    assert [chapter.name for chapter in chapters(book.get)] == ["EPUB/2.xhtml", "EPUB/t/1.xhtml"]


def test_a_book_that_lacks_what_it_names_is_a_content_error() -> None:
    with pytest.raises(ContentError, match="container"):
        chapters(lambda name: None)
    with pytest.raises(ContentError, match="package"):
        chapters({"META-INF/container.xml": CONTAINER.encode()}.get)
    with pytest.raises(ContentError, match="more than"):
        clean("x" * (MAX_PAGE_BYTES + 1))


def test_words_pictures_and_links_within_the_book_stay() -> None:
    assert clean(
        "<html><head><title>no</title></head><body class='x'><h1 id='t'>Uno</h1>"
        "<p style='color:red' onclick='x()'>El <b>agua</b> &amp; <i>el</i> río<br/></p>"
        "<img src='a.png' alt='Agua &quot;fría&quot;' onerror='x()'/><img src='no.png' alt='No'/>"
        "<a href='c.xhtml#t'>aquí</a> <a href='http://x/'>fuera</a> <a href='#n'>nota</a></body>"
    ) == (
        "<h2>Uno</h2><p>El <b>agua</b> &amp; <i>el</i> río<br></p>"
        '<img class="drawing" src="/recurso/b/a.png" alt="Agua &#34;fría&#34;" loading="lazy">'
        '<span class="picture">No</span><a href="?c=1">aquí</a> fuera nota'
    )


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>", "<script src='x'/>uno", "<SCRIPT>alert(1)</SCRIPT >",
        "<style>p{}</style>", "<svg><script>1</script></svg>", "<iframe src='x'></iframe>",
        "<a href='javascript:alert(1)'>x</a>", "<a href='java\nscript:alert(1)'>x</a>",
        "<img src='javascript:alert(1)' alt='\"><script>'>", "<p><script></p><b>",
        "&lt;script&gt;alert(1)&lt;/script&gt;", "<![CDATA[<script>alert(1)</script>]]>",
        "<!--><script>alert(1)</script>-->", "<?x <script>?>", "<!DOCTYPE x [<!ENTITY a 'b'>]>&a;",
        "<math><mtext><script>1</script></mtext></math>", "<p" * 500, "<div>" * 5000, "</p></b>",
        "<object data=x><embed src=x>", "<form action='/x'><input name=a><button>b</button></form>",
        "<base href='http://x/'>", "<meta http-equiv=refresh content='0;url=http://x'>",
    ],
)  # fmt: skip
def test_nothing_that_acts_comes_through(attack: str) -> None:
    markup = clean(f"<body><p>antes</p>{attack}<p>después</p></body>")
    assert "antes" in markup
    assert harmless(markup)
    assert "<script" not in markup.lower()


@pytest.mark.parametrize("unit", ["<!--", "<![CDATA[", "<a ", "<p x='", "<?", "</", "&#", "<!x"])
def test_a_chapter_that_never_ends_a_thing_costs_no_more_than_its_length(unit: str) -> None:
    """html.parser alone takes minutes for 100 kB of these."""
    assert harmless(clean("<p>antes</p>" + unit * (100_000 // len(unit))))


@given(st.lists(st.sampled_from([
    "<p>", "</p>", "<b>", "</b>", "<a href='c.xhtml'>", "</a>", "<script>", "</script>", "<svg>",
    "</svg>", "<img src='a.png'", ">", "/>", "<", "&", "&lt;", "\"", "'", "<!--", "-->",
    "<![CDATA[", "]]>", "texto", "<table><tr>", "</table>", "<h1 x='", "<style>", "</style",
    "<br>", "<x:y>", "\0",
]), max_size=40))  # fmt: skip
def test_whatever_the_chapter_what_comes_out_is_harmless_and_closed(parts: list[str]) -> None:
    assert harmless(clean("".join(parts)))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[School]:
    made = school(tmp_path)
    release, _ = loaded(
        made.village.blobs, 1, [lesson()], CHANNEL,
        files={"books/tabla.pdf": b"%PDF"},
        books={PATH: BOOK, "books/mal.epub": {"mimetype": b"application/epub+zip"}},
        abouts=[
            about(PATH, "Salud", language="es"), about("books/tabla.pdf", "Tabla"),
            about("books/mal.epub", "Mal"),
        ],
    )  # fmt: skip
    made.village.store.install(release, made.village.blobs.get, AT)
    yield made
    made.close()


@pytest.fixture
async def phone(place: School, aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(place.portal())


async def test_a_book_is_opened_from_the_list_and_read_chapter_by_chapter(phone: Client) -> None:
    listed = await page(phone, "/recursos")
    address = next(a["href"] for a in listed.all("a") if a["href"] == f"/libro/{PATH}")
    contents = await page(phone, address)
    found = list(contents.one("main").one("ol").all("a"))
    assert [a.text for a in found] == ["Uno & <dos>", "Dos", "Respuestas"]
    first = await page(phone, f"{address}{found[0]['href']}")
    assert [image["alt"] for image in first.one("article").all("img")] == ["Agua"]
    async with phone.get(first.one("article").one("img")["src"]) as answer:
        assert await answer.read() == SVG
    second = await page(phone, f"{address}?c=2")
    assert [a["href"] for a in second.one("article").all("a")] == ["?c=1"]
    assert "(http" not in second.one("article").text
    assert [a["rel"] for a in second.all("a") if a.get("rel")] == ["prev", "next"]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"/libro/{PATH}?c=4", 404), (f"/libro/{PATH}?c=-1", 404), (f"/libro/{PATH}?c=x", 404),
        ("/libro/books/tabla.pdf", 404), ("/libro/no", 404), ("/libro/books/mal.epub", 503),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_says_so(phone: Client, address: str, status: int) -> None:
    async with phone.get(address) as answer:
        assert answer.status == status
