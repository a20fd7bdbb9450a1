"""Markdown: a lesson's blocks as HTML. The only place that turns text into markup.

* CommonMark with tables; raw HTML stays text.
* The page has the one `h1`; a lesson's headings start at `h2`.
* A link to another server would die in the village: it is shown as text with its address.
  Links within the portal work.
* An image is one that the channel carries, or it is shown by its description.
* A table sits in a frame of its own that scrolls, and that the keyboard reaches; columns are
  aligned by classes, because the portal's policy allows no inline style.
"""

from collections.abc import Callable, Sequence
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

MAX_NESTING = 20
Picture = Callable[[str], str | None]
"""From the path of an image in the channel to its address; None when it is not here."""


def nowhere(path: str) -> str | None:
    """The default of `picture`."""
    return None


class Blocks:
    """Renders blocks. One instance serves all requests."""

    def __init__(self) -> None:
        self._md = MarkdownIt(
            "commonmark", {"html": False, "linkify": False, "maxNesting": MAX_NESTING}
        )
        self._md.enable("table").disable("html_block").disable("html_inline")
        self._md.core.ruler.push("house", _house)
        for name in ("image", "table_open", "table_close"):
            self._md.add_render_rule(name, globals()[f"_{name}"])

    def html(self, block: str, picture: Picture = nowhere) -> Markup:
        """One block as HTML; `picture` gives the address of an image that is here."""
        env = {"picture": picture}
        return Markup(self._md.render(block, env))  # noqa: S704  html is off: text is escaped


def _house(state: StateCore) -> None:
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close") and token.tag == "h1":
            token.tag = "h2"
        if style := token.attrs.pop("style", None):
            token.attrs["class"] = str(style).removeprefix("text-align:")
        if token.children:
            token.children = _local(token.children)


def _local(tokens: Sequence[Token]) -> list[Token]:
    """Without links to other servers: their text, then their address."""
    kept: list[Token] = []
    foreign: list[str] = []
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrGet("href") or "")
            foreign.append("" if href.startswith(("#", "/")) and href[:2] != "//" else href)
            if foreign[-1]:
                continue
        elif token.type == "link_close" and (address := foreign.pop()):
            kept.append(Token("text", "", 0, content=f" ({address})"))
            continue
        kept.append(token)
    return kept


def _image(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    token = tokens[index]
    words = self.renderInlineAsText(token.children or [], options, env)
    address = env["picture"](unquote(str(token.attrGet("src") or "")))
    if address is None:
        return f'<span class="picture">{escape(words)}</span>'
    return (
        f'<img class="drawing" src="{escape(address)}" alt="{escape(words)}"'
        ' loading="lazy" decoding="async">'
    )


def _table_open(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    return '<div class="table" tabindex="0"><table>'


def _table_close(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    return "</table></div>"
