"""What villages tell counts once, whatever happens, and nothing that cannot be."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.answers import RefusedError
from hub.arrivals import MAX_A_DAY, MAX_COMING, Uploads
from hub.blocks import Blocks, Name
from hub.config import ReviewTable
from hub.errors import DecidedError, UnknownError
from hub.hearing import hear
from hub.intake import Intake
from hub.library import Library
from hub.review import Review
from sync.canonical import digest
from sync.errors import ContentError
from sync.events import Event, EventBlock, EventKind, encode_events, event
from sync.identity import NodeKey
from sync.parcel import Parcel, lesson_id, part_data, parts, to_bytes
from tests.hub.fakes import CHANNEL, Clock, a_lesson
from tests.hub_web.reports import NOW, events, missed, samples
from tests.pictures import jpeg, pdf
from tests.sync.test_parcel import handed

DAY = "2027-01-15"
"""That of `NOW`."""


class Desk:
    """A hub with one lesson, its intake, and a clock."""

    def __init__(self, folder: Path, *, signed: bool = False) -> None:
        self.folder, self.clock = folder, Clock()
        self.library = Library(folder / "hub.db")
        self.blocks = Blocks(folder / "intake.db", max_names=10_000, max_bytes=10**9)
        self.intake = Intake(self.blocks, self.library, self.clock, signed=signed)
        self.library.set_channel(CHANNEL, NOW)
        self.review = Review(self.library, ReviewTable(), self.clock)
        self.review.bring_in(a_lesson(), ["Rosa"])
        self.seq = 0

    def close(self) -> None:
        self.blocks.close()
        self.library.close()

    def tell(self, *told: Event, node: str = "puno-1") -> tuple[tuple[str, str], ...]:
        """One block with `told`; what was refused."""
        self.seq += 1
        return self.intake.events(events(self.seq, *told, node=node)).refused

    def hand_in(self, parcel: Parcel, node: str = "puno-1") -> list[bytes]:
        """The blocks of an upload."""
        return [
            encode_events(EventBlock(node, "up", n, (event("upload_part", 0, part_data(part)),)))
            for n, part in enumerate(parts(to_bytes(parcel)))
        ]

    @property
    def uploads(self) -> list[int]:
        """The candidates that were handed in."""
        return [c.id for c in self.library.candidates() if c.origin == "upload"]


def said(kind: EventKind, at: float = NOW, **data: str) -> Event:
    return event(kind, int(at * 1000), {"lesson": "sumar", "language": "es", **data})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(Desk(tmp_path)) as made:
        yield made


# Learning


def test_counts_of_villages_add_up_by_lesson(desk: Desk) -> None:
    counts = {"opened": "9", "finished": "4", "quizzes": "3", "right": "5", "total": "9"}
    data = {"lesson": "sumar", "language": "es", "day": DAY, "missed": "1.3.0"} | counts
    for node in ("puno-1", "puno-2"):
        assert desk.tell(event("learned", 0, data), node=node) == ()
    desk.tell(said("question", answer="answer", question="¿Cómo sumo?"), said("lesson_opened"))
    (found,) = desk.library.learning.lessons()
    assert (found.lesson, found.title, found.opened, found.finished) == ("sumar", "Sumar", 19, 8)
    assert (found.share, found.hardest, found.hardest_missed) == (10 / 18, 2, 6)
    assert (found.nodes, found.asked, found.last) == (2, 1, DAY)
    assert desk.library.learning.lessons("2027-01-16") == []


def test_events_of_older_nodes_count_as_they_come(desk: Desk) -> None:
    desk.tell(
        said("lesson_opened"), said("lesson_finished"),
        said("quiz_answered", right="1", total="2", marks="1.0"),
        said("quiz_answered", right="2", total="2"),
    )  # fmt: skip
    (found,) = desk.library.learning.lessons()
    assert (found.opened, found.finished, found.quizzes) == (1, 1, 2)
    assert (found.right, found.total, found.hardest) == (3, 4, 2)


@pytest.mark.parametrize("day", ["1970-01-01", "2031-01-01", ""])
def test_a_node_without_a_clock_counts_for_the_day_it_was_heard(desk: Desk, day: str) -> None:
    desk.tell(said("learned", day=day, opened="1"))
    assert desk.library.learning.lessons()[0].last == DAY


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (said("learned", lesson="nadie-la-tiene", opened="1"), "lesson"),
        (said("learned", language="qu", opened="1"), "lesson"),
        (said("learned", opened="999999999"), "number"),
        (said("learned", opened="1.5"), "number"),
        (said("learned", right="2", total="1"), "number"),
        (said("learned", quizzes="1", missed="2"), "number"),
        (said("learned", quizzes="9", missed=".".join("1" * 50)), "number"),
        (said("quiz_answered", right="999", total="999"), "number"),
        (said("feedback", verdict="maybe"), "incomplete"),
        (event("search_missed", 0, {"query": "x"}), "incomplete"),
    ],
)
def test_what_cannot_be_is_passed_over_and_the_rest_of_its_block_counts(
    desk: Desk, told: Event, reason: str
) -> None:
    assert desk.tell(told, said("lesson_opened"), missed("volcanes")) == ((told.kind, reason),)
    assert [one.opened for one in desk.library.learning.lessons()] == [1]
    assert [m.query for m in desk.library.missed_searches()] == ["volcanes"]


# Reports


def test_what_is_wrong_is_a_report_until_somebody_deals_with_it(desk: Desk) -> None:
    desk.tell(
        said("feedback", verdict="yes", question="¿Cómo sumo?"),
        said("feedback", verdict="no", question="¿Cómo resto?"),
        said("feedback", verdict="wrong", note="son seis, no cinco"),
    )
    (found,) = desk.library.learning.lessons()
    assert (found.helped, found.failed, found.reports) == (1, 1, 2)
    second, first = desk.library.reports.all()
    assert (first.verdict, first.question, second.note) == (
        "no", "¿Cómo resto?", "son seis, no cinco",
    )  # fmt: skip
    with pytest.raises(ContentError, match="by somebody"):
        desk.library.reports.close(first.id, " ", "mended", NOW)
    done = desk.library.reports.close(first.id, "Rosa", "cambié la pregunta", NOW)
    assert (done.person, done.outcome, done.closed) == ("Rosa", "cambié la pregunta", NOW)
    with pytest.raises(DecidedError, match="by Rosa already"):
        desk.library.reports.close(first.id, "Julián", "x", NOW)
    with pytest.raises(UnknownError):
        desk.library.reports.close(99, "Julián", "x", NOW)
    assert [r.id for r in desk.library.reports.all()] == [second.id]
    assert [r.id for r in desk.library.reports.all(closed=True)] == [first.id]


def test_a_village_may_have_so_many_open_reports(desk: Desk) -> None:
    many = [said("feedback", verdict="wrong") for _ in range(230)]
    assert desk.tell(*many) == (("feedback", "reports"),) * 30
    assert desk.tell(said("feedback", verdict="wrong"), node="puno-2") == ()
    assert desk.library.reports.open() == 201


def test_the_last_sync_of_a_node_is_kept(desk: Desk) -> None:
    def synced(at: float, outcome: str) -> Event:
        return event("sync", int(at * 1000), {"outcome": outcome, "to_version": "3"})

    desk.tell(synced(NOW - 5, "updated"))
    desk.tell(synced(NOW - 900, "damaged"))
    desk.tell(synced(NOW + 9e6, "full"), node="puno-2")
    kept = desk.library.heard.syncs()
    assert (kept["puno-1"].outcome, kept["puno-2"].at) == ("updated", NOW)


# Once


def test_a_crash_between_the_library_and_the_intake_counts_nothing_twice(desk: Desk) -> None:
    """The library has the block, the program dies, the intake offers it again."""
    block = EventBlock("puno-1", "e", 1, (said("lesson_opened"), missed("quipu")))
    with desk.blocks.transaction():
        desk.blocks.greet("puno-1", NOW, None)
        desk.blocks.add(
            Name("events", "puno-1", "e", 1), encode_events(block), NOW, delivered=False
        )
    assert hear(desk.library, block, NOW) == ()
    desk.intake.deliver()
    desk.intake.deliver()
    assert desk.library.learning.lessons()[0].opened == 1
    assert desk.library.missed_searches()[0].times == 1
    assert desk.blocks.undelivered() == []
    with closing(sqlite3.connect(desk.folder / "hub.db")) as db:
        assert db.execute("SELECT count(*) FROM handed_on").fetchone() == (1,)
    desk.tell(said("lesson_opened"), node="puno-2")
    with closing(sqlite3.connect(desk.folder / "hub.db")) as db:
        assert db.execute("SELECT node FROM handed_on").fetchall() == [("puno-2",)]


def test_two_programs_that_hand_on_the_same_block_count_it_once(desk: Desk) -> None:
    block = EventBlock("puno-1", "e", 1, (said("lesson_opened"),))
    assert hear(desk.library, block, NOW, lambda: False) == ()
    assert desk.library.learning.lessons() == []


# Uploads


def test_an_upload_waits_for_review_as_its_teacher_wrote_it(desk: Desk) -> None:
    parcel = handed(files=[("chacra.jpg", jpeg()), ("hoja.pdf", pdf())])
    for block in desk.hand_in(parcel):
        desk.intake.events(block)
    (number,) = desk.uploads
    found = desk.library.candidate(number)
    assert (found.origin, found.state) == ("upload", "waiting")
    upload = digest(to_bytes(parcel))
    assert found.lesson.id == lesson_id(upload, "El ayni")
    assert found.lesson.body == ("Hoy por ti.", "Mañana por mí.")
    by = found.lesson.provenance
    assert (by.author, by.license, by.source) == (
        "Rosa Quispe", "CC-BY-4.0", f"upload puno-1 {DAY}",
    )  # fmt: skip
    assert [(f.name, f.kind) for f in desk.library.heard.attachments(number)] == [
        ("chacra.jpg", "jpeg"), ("hoja.pdf", "pdf"),
    ]  # fmt: skip
    assert desk.library.heard.attachment(number, 0)[1] == jpeg(told=b"")
    outcome = desk.review.approve(number, "Julián")
    assert (outcome.state, outcome.revision) == ("approved", 1)


def test_parts_in_any_order_twice_and_by_two_nodes_are_one_lesson(desk: Desk) -> None:
    big = jpeg(body=bytes(n % 251 for n in range(120_000)))
    blocks = desk.hand_in(handed(files=[("a.jpg", big)]))
    again = desk.hand_in(handed(files=[("a.jpg", big)]), node="puno-2")
    assert len(blocks) == 3
    for block in (blocks[2], blocks[0], blocks[2], again[1], blocks[1], *again, *blocks):
        desk.intake.events(block)
    assert len(desk.uploads) == 1
    with closing(sqlite3.connect(desk.folder / "intake.db")) as db:
        assert db.execute("SELECT count(*) FROM upload_parts").fetchone() == (0,)


def test_a_crash_after_the_candidate_was_made_makes_no_second_one(desk: Desk) -> None:
    for block in desk.hand_in(handed()):
        desk.intake.events(block)
    with closing(sqlite3.connect(desk.folder / "intake.db")) as db, db:
        (part,) = parts(to_bytes(handed()))
        db.execute("UPDATE uploads SET state = 'coming', have = parts")
        db.execute("INSERT INTO upload_parts VALUES ('puno-1', ?, 0, ?)", (part.upload, part.data))
    desk.intake.deliver()
    assert len(desk.uploads) == 1


def test_front_matter_of_ours_keeps_the_quiz_of_the_teacher(desk: Desk) -> None:
    text = (
        '+++\nid = "x"\ntitle = "T"\ntopic = "salud"\nlanguage = "qu"\ngrade = "primaria-1"\n'
        'summary = "Resumen."\nkeywords = ["ayni"]\nauthor = "A"\nlicense = "L"\nsource = "s"\n'
        '[[quiz]]\nquestion = "¿Qué?"\nchoices = ["a", "b"]\nanswer = 1\nhint = ""\n'
        'explanation = ""\n+++\n\nEl cuerpo.\n'
    )
    for block in desk.hand_in(handed(text=text)):
        desk.intake.events(block)
    lesson = desk.library.candidate(desk.uploads[0]).lesson
    assert (lesson.summary, lesson.keywords, lesson.quiz[0].answer) == ("Resumen.", ("ayni",), 1)
    assert (lesson.title, lesson.language, lesson.provenance.author) == (
        "El ayni", "es", "Rosa Quispe",
    )  # fmt: skip


@pytest.mark.parametrize("text", ["+++\nbroken = \n+++\n\nx", "+++\nx"])
def test_an_upload_that_is_no_lesson_is_refused_with_a_reason(desk: Desk, text: str) -> None:
    (block,) = desk.hand_in(handed(text=text))
    receipt = desk.intake.events(block)
    assert (receipt.stored, receipt.refused) == (True, (("upload_part", "upload"),))
    assert desk.uploads == []
    assert desk.tell(said("lesson_opened")) == ()


def test_a_part_with_wrong_content_costs_its_upload_only(desk: Desk) -> None:
    (part,) = parts(to_bytes(handed()))
    forged = part_data(part) | part_data(parts(to_bytes(handed(title="Otra")))[0])
    forged["upload"] = part.upload
    assert desk.tell(event("upload_part", 0, forged)) == (("upload_part", "upload"),)
    for block in desk.hand_in(handed(title="La buena")):
        desk.intake.events(block)
    assert [desk.library.candidate(n).lesson.title for n in desk.uploads] == ["La buena"]


def test_five_thousand_uploads_of_one_node_are_stopped_and_others_are_heard(desk: Desk) -> None:
    reasons = []
    for number in range(200):
        desk.seq += 1
        (part,) = parts(to_bytes(handed(title=f"Lección {number}")))
        try:
            desk.tell(event("upload_part", 0, part_data(part)), node="loud")
        except RefusedError as error:
            reasons.append((error.status, error.reason))
    assert len(desk.uploads) == MAX_A_DAY
    assert reasons == [(429, "uploads")] * (200 - MAX_A_DAY)
    for block in desk.hand_in(handed(title="De otro pueblo")):
        assert desk.intake.events(block).stored
    desk.clock.now += 90_000
    (late,) = desk.hand_in(handed(title="Mañana"), node="loud")
    assert desk.intake.events(late).stored
    assert len(desk.uploads) == MAX_A_DAY + 2


def test_uploads_that_never_become_whole_are_bounded(desk: Desk) -> None:
    body = bytes(n % 251 for n in range(60_000))
    stored, reasons = 0, []
    for number in range(MAX_COMING + 5):
        parcel = handed(title=f"Lección {number}", files=[("a.jpg", jpeg(body=body))])
        first = parts(to_bytes(parcel))[0]
        try:
            desk.tell(event("upload_part", 0, part_data(first)))
            stored += 1
        except RefusedError as error:
            reasons.append(error.reason)
    assert (stored, set(reasons)) == (MAX_COMING, {"uploads"})


def test_what_nobody_finishes_is_let_go_and_all_of_it_is_bounded(desk: Desk) -> None:
    body = bytes(n % 251 for n in range(60_000))
    first = parts(to_bytes(handed(files=[("a.jpg", jpeg(body=body))])))[0]
    small = Uploads(desk.blocks._db, most_bytes=len(first.data))
    with desk.blocks.transaction():
        small.add("puno-1", first, NOW)
        other = parts(to_bytes(handed(title="Otra")))[0]
        with pytest.raises(RefusedError, match="not whole"):
            small.add("puno-2", other, NOW)
        small.add("puno-2", other, NOW + 91 * 86_400)
    assert [whole.upload for whole in small.whole()] == [other.upload]
    with closing(sqlite3.connect(desk.folder / "intake.db")) as db:
        assert db.execute("SELECT count(*) FROM upload_parts").fetchone() == (1,)


def test_parts_that_do_not_agree_are_refused_whole(desk: Desk) -> None:
    body = bytes(n % 251 for n in range(60_000))
    first, second = parts(to_bytes(handed(files=[("a.jpg", jpeg(body=body))])))
    desk.tell(event("upload_part", 0, part_data(first)))
    with pytest.raises(RefusedError) as caught:
        desk.tell(event("upload_part", 0, part_data(second) | {"parts": "9"}))
    assert caught.value.reason in ("damaged", "upload")
    with pytest.raises(RefusedError) as caught:
        desk.tell(event("upload_part", 0, part_data(first) | {"check": "0" * 64}))
    assert caught.value.reason == "damaged"


# Whose


def test_a_node_with_a_key_must_sign_and_others_cannot_speak_in_its_name(desk: Desk) -> None:
    key = NodeKey.create()
    desk.blocks.enrol("puno-1", key.public, NOW)
    for block in (events(1, missed("x")), NodeKey.create().sign(events(1, missed("x")))):
        with pytest.raises(RefusedError) as caught:
            desk.intake.events(block)
        assert (caught.value.status, caught.value.reason) == (403, "signature")
    with pytest.raises(RefusedError):
        desk.intake.samples(samples(1))
    assert desk.intake.events(key.sign(events(1, missed("x")))).stored
    assert desk.intake.samples(key.sign(samples(1))).stored
    assert desk.intake.events(events(1, missed("x"), node="puno-2")).stored


def test_a_hub_that_wants_keys_takes_nothing_from_names_nobody_enrolled(tmp_path: Path) -> None:
    with closing(Desk(tmp_path, signed=True)) as desk:
        for block in (events(1), NodeKey.create().sign(events(1))):
            with pytest.raises(RefusedError) as caught:
                desk.intake.events(block)
            assert (caught.value.status, caught.value.reason) == (403, "unknown")
        assert desk.intake.nodes() == 0


def test_the_same_block_signed_and_not_is_one(desk: Desk) -> None:
    key = NodeKey.create()
    assert desk.intake.events(events(1, missed("x"))).stored
    assert not desk.intake.events(key.sign(events(1, missed("x")))).stored


def test_a_node_that_was_wiped_does_not_collide_with_itself(desk: Desk) -> None:
    assert desk.intake.events(events(1, missed("x"), epoch="before")).stored
    assert desk.intake.events(events(1, missed("x"), epoch="after")).stored
    assert desk.library.missed_searches()[0].times == 2
