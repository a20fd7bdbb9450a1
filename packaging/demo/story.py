"""The story that the demo plays: each step does one thing and says what it saw.

A step raises DemoError when what it sees is not what a user was promised.
"""

import html
import io
import json
import re
import time
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from programs import DemoError, Program, Server, fetch, free_port, get, press

LIBRARY = Path("hub/sample_library")
EDITORS = ("Rosa Quispe", "Julio Mamani")  # health and Quechua need two persons
BRIEFS = (
    ("ciencia-y-tecnologia", "Las plantas y la luz del sol", "primaria-5"),
    ("salud", "Por qué hervimos el agua", "primaria-4"),
)
DRAFTS_A_BRIEF = 2
# (lesson, the words the editor takes out, the words put in)
EDITS = {
    "fotosintesis": "La fotosíntesis ocurre también en las hojas de la quinua.",
    "chasquis-qhapaq-nan": "Los chasquis corrían por relevos, de tambo en tambo.",
    "ciclo-del-agua": "El agua de la lluvia vuelve siempre al río y al mar.",
}
BOOK_TOPIC = "ciencia-y-tecnologia"
QUESTION = "¿Qué es la fotosíntesis?"
FOREIGN_QUESTION = "¿Quién ganó el mundial de fútbol de 2010?"
HANDED_IN = "# El ayni en mi comunidad\n\nHoy por ti, mañana por mí.\n"
UPDATE_SECONDS = 60

Step = tuple[str, Callable[[], str]]


class Village:
    """A hub and a node on loopback, with their folders under `folder`."""

    def __init__(self, root: Path, folder: Path, hub_port: int, node_port: int) -> None:
        self.root, self.folder = root, folder
        hub_port, node_port = free_port(hub_port), free_port(node_port)
        self.hub = f"http://127.0.0.1:{hub_port}"
        self.portal = f"http://127.0.0.1:{node_port}"
        self.password = ""
        self.city = Program("chaski-hub", folder / "hub.toml")
        self.node = Program("chaski-node", folder / "node" / "node.toml")
        self.servers: list[Server] = []
        self.first_bytes = 0
        (folder / "hub.toml").write_text(
            f'[hub]\ndata = "{folder / "hub"}"\n\n[server]\nport = {hub_port}\n'
            "\n[intake]\nsigned = true\n",
            encoding="utf-8",
        )
        self._node_port = node_port
        self.steps: tuple[Step, ...] = (
            ("hub makes its keys", self.keys),
            ("hub imports the sample library", self.imports),
            ("hub drafts lessons with GPT-2 and ranks them with BERT", self.drafts),
            ("hub publishes version 1", self.publishes),
            ("hub serves", self.hub_serves),
            ("village node fetches, verifies, applies", self.node_serves),
            ("pupil walks home, topic, lesson", self.walks),
            ("pupil downloads a book", self.downloads),
            ("pupil searches without accents", self.searches),
            ("pupil asks", self.asks),
            ("pupil asks what no lesson tells", self.is_refused),
            ("editor changes three lessons; only a delta travels", self.updates),
            ("measurements reach the hub", self.measures),
            ("the village tells, and a teacher hands in a lesson", self.tells),
        )

    # The city

    def keys(self) -> str:
        """Four signing keys and a password for the studio."""
        self.city.run("keys", "create")
        told = self.city.json("users", "add", "editor", "--role", "editor")
        self.password = told["password"]
        return "root, timestamp, snapshot and targets keys; an editor's password"

    def imports(self) -> str:
        """The hand-written lessons pass review and are on the shelf."""
        both = [word for person in EDITORS for word in ("--approver", person)]
        self.city.run("import", str(self.root / LIBRARY), *both)
        lessons = self._status()["lessons"]
        files = [path.name for path in (self.root / LIBRARY).rglob("*.??.md")]
        expect(lessons == len(files), f"{lessons} lessons")
        works = len({name.split(".")[0] for name in files})
        self._bind()
        carried = self.city.json("files", "list")
        return (
            f"{works} lessons in {lessons} texts, approved by {' and '.join(EDITORS)}; "
            f"{len(carried) - 1} drawings, and a book bound from one topic"
        )

    def drafts(self) -> str:
        """Machine drafts wait for a person, with scores."""
        for topic, title, grade in BRIEFS:
            self.city.run(
                "generate", "--topic", topic, "--title", title, "--grade", grade,
                "--count", str(DRAFTS_A_BRIEF),
            )  # fmt: skip
        waiting = self.city.json("review", "list")
        expect(len(waiting) == len(BRIEFS) * DRAFTS_A_BRIEF, f"{len(waiting)} drafts wait")
        scores = sorted((row["score"] for row in waiting), reverse=True)
        expect(len(set(scores)) > 1, f"all drafts score {scores[0]}")
        return f"{len(waiting)} drafts wait for review, scores {scores[0]:.2f} to {scores[-1]:.2f}"

    def publishes(self) -> str:
        """Version 1 is signed; no draft is in it."""
        told = self.city.json("publish")
        expect(told["version"] == 1, f"published version {told['version']}")
        return f"version 1, {told['lessons']} texts, {told['full_size']:,} bytes in full"

    def hub_serves(self) -> str:
        """The hub answers, and writes the village's configuration."""
        server = self.city.serve(self.folder / "hub.log")
        self.servers.append(server)
        server.wait_for(f"{self.hub}/healthz")
        self.city.run(
            "enrol", "ocongate", "--hub", self.hub, "--host", "127.0.0.1",
            "--out", str(self.node.config),
        )  # fmt: skip
        with self.node.config.open("a", encoding="utf-8") as config:
            config.write(f"port = {self._node_port}\n")
        return f"{self.hub}, and a configuration for node ocongate"

    # The village

    def node_serves(self) -> str:
        """A process of its own fetches, judges and applies version 1."""
        server = self.node.serve(self.folder / "node.log")
        self.servers.append(server)
        server.wait_for(f"{self.portal}/api/version")
        told = self._installed(1)
        sync = told["last_sync"]
        self.first_bytes = sync["bytes_down"]
        return f"version 1 in {sync['bytes_down']:,} bytes; portal at {self.portal}"

    def walks(self) -> str:
        """Home, a topic, a lesson: three taps."""
        home = get(f"{self.portal}/")
        topic = link(home, "/tema/ciencia-y-tecnologia")
        lesson = link(get(self.portal + topic), "/leccion/fotosintesis")
        page = text(get(self.portal + lesson))
        expect("fabrican su propio alimento" in page, f"{lesson} does not show the lesson")
        return f"/ → {topic} → {lesson}"

    def downloads(self) -> str:
        """The topic's lessons as an EPUB, put together from its members on the node."""
        page = get(f"{self.portal}/tema/{BOOK_TOPIC}")
        address = link(page, f"/recurso/books/{BOOK_TOPIC}")
        book = self._book(self.portal + address)
        expect(book.namelist()[0] == "mimetype", "the book is no EPUB")
        return f"{address.partition('?')[0]}, {len(book.namelist())} files in it, each sound"

    def searches(self) -> str:
        """`fotosintesis` without its accent finds the lesson."""
        page = get(f"{self.portal}/buscar?q=fotosintesis")
        link(page, "/leccion/fotosintesis")
        return "«fotosintesis» finds La fotosíntesis"

    def asks(self) -> str:
        """The lesson's own words first, then the machine's, labelled."""
        page = self._ask(QUESTION)
        quote, label, rest = page.partition("Escrito por una máquina")
        expect("fabrican su propio alimento" in quote, "the answer does not begin with the lesson")
        expect(bool(label), "no text of the machine, or no label on it")
        written = rest.partition("puede equivocarse")[2].partition("¿Estuvo bien")[0].strip()
        expect(len(written.split()) > 5, f"the machine wrote only {written[:80]!r}")
        return f"«{QUESTION}» quotes La fotosíntesis, then the machine writes, labelled"

    def is_refused(self) -> str:
        """No lesson, no answer."""
        page = self._ask(FOREIGN_QUESTION)
        expect("Escrito por una máquina" not in page, "the machine answers what no lesson tells")
        return f"«{FOREIGN_QUESTION}» is refused, with the nearest lessons"

    # News, and the way back

    def updates(self) -> str:
        """Version 2 arrives as a delta and the page shows it."""
        for lesson, sentence in EDITS.items():
            path = self.folder / f"{lesson}.md"
            path.write_text(
                self.city.run("lesson", "export", lesson, "es").rstrip("\n") + f"\n\n{sentence}\n",
                encoding="utf-8",
            )
            self.city.run("lesson", "edit", lesson, "es", str(path), "--editor", EDITORS[0])
        self._bind()
        told = self.city.json("publish")
        expect(told["version"] == 2, f"published version {told['version']}")
        press(f"{self.portal}/salud/sincronizar")
        sync = self._installed(2)["last_sync"]
        down, full = sync["bytes_down"], self.first_bytes
        expect(0 < down < full / 10, f"{down} bytes travelled of {full}")
        page = get(
            self.portal + link(get(f"{self.portal}/buscar?q=fotosintesis"), "/leccion/fotosintesis")
        )
        expect(EDITS["fotosintesis"] in text(page), "the lesson's page does not show the new text")
        address = link(get(f"{self.portal}/tema/{BOOK_TOPIC}"), f"/recurso/books/{BOOK_TOPIC}")
        chapter = self._book(self.portal + address).read("EPUB/chapters/fotosintesis.xhtml")
        expect(EDITS["fotosintesis"] in chapter.decode(), "the book does not have the new text")
        times = full / down
        return f"{down:,} bytes travelled, {times:,.0f} times fewer than the {full:,} of version 1"

    def measures(self) -> str:
        """/metrics on both, and the node's samples at the hub."""
        hub, node = get(f"{self.hub}/metrics"), get(f"{self.portal}/metrics")
        expect("chaski_hub_" in hub, "the hub's /metrics has no chaski_hub_*")
        expect("chaski_node_" in node, "the node's /metrics has no chaski_node_*")

        def arrived() -> str | None:
            rows = [row for row in self.city.json("fleet") if row["node"] == "ocongate"]
            return (
                f"hub sees ocongate at version {rows[0]['version']}"
                if rows and rows[0]["version"] == 2
                else None
            )

        return wait_until(arrived, "the node's samples reach the hub")

    def tells(self) -> str:
        """Counts, a missed search and a teacher's lesson reach the hub, signed."""
        path = self.folder / "ayni.md"
        path.write_text(HANDED_IN, encoding="utf-8")
        self.node.run(
            "submit", str(path), "--author", "Rosa Quispe", "--topic", "ciencias-sociales",
            "--grade", "primaria-3",
        )  # fmt: skip
        press(f"{self.portal}/salud/sincronizar")

        def arrived() -> str | None:
            waiting = self.city.json("review", "list")
            found = [row["title"] for row in waiting if row["origin"] == "upload"]
            return found[0] if found else None

        title = wait_until(arrived, "the teacher's lesson reaches the hub")
        opened = {row["lesson"]: row["opened"] for row in self.city.json("learning")}
        expect(opened.get("fotosintesis", 0) > 0, f"nobody opened fotosintesis: {opened}")
        missed = self.city.json("missed", "list")
        expect(len(missed) > 0, "no missed search reached the hub")
        return (
            f"«{title}» waits for review; fotosintesis was opened {opened['fotosintesis']} times; "
            f"missed: «{missed[0]['query']}»"
        )

    # Helpers

    def _status(self) -> Any:
        return self.city.json("status")

    def _installed(self, version: int) -> Any:
        def reached() -> Any:
            for server in self.servers:
                server.check_alive()
            told = json.loads(get(f"{self.portal}/api/status"))
            return told if told["version"] == version else None

        return wait_until(reached, f"the node installs version {version}")

    def _bind(self) -> None:
        """The lessons of one topic as a book that the channel carries."""
        self.city.run("files", "book", BOOK_TOPIC, "--editor", EDITORS[0])

    def _book(self, address: str) -> zipfile.ZipFile:
        """A book as a phone gets it, all of it sound."""
        book = zipfile.ZipFile(io.BytesIO(fetch(address)))
        expect(book.testzip() is None, f"{address} is damaged")
        return book

    def _ask(self, question: str) -> str:
        return text(get(f"{self.portal}/preguntar?q={urllib.parse.quote(question)}"))

    def watch(self) -> None:
        """Return only by Ctrl-C, or raise when a server dies."""
        while True:
            for server in self.servers:
                server.check_alive()
            time.sleep(1)

    def stop(self) -> bool:
        """Stop the servers, the node first; True when each ended well."""
        codes = [server.stop() for server in reversed(self.servers)]
        return all(code == 0 for code in codes)


def expect(true: bool, seen: str) -> None:
    """Raise DemoError with what was seen instead."""
    if not true:
        raise DemoError(seen)


def wait_until(look: Callable[[], Any], what: str) -> Any:
    """What `look` returns once it is not None."""
    deadline = time.monotonic() + UPDATE_SECONDS
    while time.monotonic() < deadline:
        if (seen := look()) is not None:
            return seen
        time.sleep(0.5)
    raise DemoError(f"not within {UPDATE_SECONDS} s: {what}")


def link(page: str, start: str) -> str:
    """The first link on `page` whose address begins with `start`."""
    found = re.search(rf'href="({re.escape(start)}[^"]*)"', page)
    if not found:
        raise DemoError(f"no link to {start} on the page")
    return html.unescape(found[1])


def text(page: str) -> str:
    """What a reader sees of `page`, tags removed."""
    without = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(without))
