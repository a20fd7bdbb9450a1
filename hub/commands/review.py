"""generate, review: what models write and people decide."""

from pathlib import Path

import click
from rich.markup import escape

from hub.brief import Brief, from_missed
from hub.candidate import Candidate
from hub.commands.console import (
    GRADES,
    LANGUAGES,
    bar,
    editor_option,
    json_option,
    out,
    pass_office,
    print_json,
    say,
    size,
    table,
)
from hub.commands.content import outcome_json, said
from hub.demand import Demand, demands
from hub.errors import UnknownError
from hub.office import Office
from sync.errors import ContentError
from sync.files import atomic_write
from sync.lesson import Grade, Language

MAX_TITLE_CHARS = 200
MAX_KEYWORDS = 24
Order = tuple[Brief, Demand | None, int | None]
number_argument = click.argument("number", type=click.IntRange(1, 2**63 - 1))


@click.command()
@click.option("--count", default=4, type=click.IntRange(1, 64), help="Drafts for each brief.")
@click.option("--topic", help="Topic id, as in channel.toml.")
@click.option("--title", help="Title of the lesson.")
@click.option("--grade", type=click.Choice(GRADES))
@click.option("--language", type=click.Choice(LANGUAGES), default="es", show_default=True)
@click.option("--keyword", "keywords", multiple=True, help="What it shall be about; repeatable.")
@click.option("--from-missed", "missed", is_flag=True, help="Briefs from what pupils searched for.")
@click.option("--open", "open_", is_flag=True, help="The briefs that wait for drafts.")
@click.option(
    "--briefs", default=3, type=click.IntRange(1, 50), help="With --from-missed or --open: most."
)
@json_option
@pass_office
def generate(
    office: Office,
    count: int,
    topic: str | None,
    title: str | None,
    grade: Grade | None,
    language: Language,
    keywords: tuple[str, ...],
    missed: bool,
    open_: bool,
    briefs: int,
    as_json: bool,
) -> None:
    """Draft lessons with the model; they wait in the review list, ranked."""
    if missed + open_ + bool(topic or title or grade) > 1:
        raise click.UsageError("--from-missed and --open have their briefs; leave the others out")
    if not (missed or open_) and not (topic and title and grade):
        raise click.UsageError("give --topic, --title and --grade, or --from-missed, or --open")
    orders: list[Order] = []
    if missed:
        orders = _missed_orders(office, briefs)
    elif open_:
        orders = [(b, None, number) for number, b in office.library.open_briefs()[:briefs]]
    elif topic and title and grade:
        orders = [(_brief(office, topic, title, grade, language, keywords), None, None)]
    made: list[Candidate] = []
    empty = 0
    if orders:
        drafting = office.drafting()
        with bar("briefs", len(orders)) as progress:
            for brief, search, number in orders:
                drafted = drafting.draft(brief, count, search, number)
                made += [office.library.candidate(number) for number in drafted.candidates]
                empty += drafted.empty
                progress.advance(progress.task_ids[0])
    if as_json:
        print_json({"empty": empty, "candidates": [row_json(c) for c in made]})
        return
    if not orders:
        what = "brief waits for drafts" if open_ else "missed search waits for a brief"
        say(f"no {what}; nothing to do")
        return
    _show(sorted(made, key=lambda c: -(c.score or 0.0)), f"{len(made)} drafts")
    if empty:
        say(f"{empty} more came back without text")


@click.group()
def review() -> None:
    """Decide what becomes a lesson."""


@review.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what was decided or stopped.")
@json_option
@pass_office
def list_(office: Office, everything: bool, as_json: bool) -> None:
    """What waits for a person, best score first."""
    states = () if everything else ("waiting",)
    found = office.library.candidates(*states)
    if as_json:
        print_json([row_json(candidate) for candidate in found])
    elif found:
        _show(found, "Review list")
    else:
        say("nothing waits for review")
    if not as_json and (reported := office.library.reports.open()):
        say(f"{reported} reports from villages are open: `chaski-hub reports list`")


@review.command()
@number_argument
@json_option
@pass_office
def show(office: Office, number: int, as_json: bool) -> None:
    """One candidate: its text, why it has its score, what people said."""
    found = office.library.candidate(number)
    if as_json:
        print_json(found)
        return
    lesson = found.lesson
    say(f"{lesson.title}  {found.origin}, {found.state}")
    say(f"{lesson.topic}, {lesson.grade}, {lesson.language}; {_author(found)}")
    for file in office.library.heard.attachments(number):
        say(f"file {file.number}: {file.name}, {file.kind}, {size(file.size)}; `review file`")
    if found.factors:
        why = table(
            f"Score {found.score:.3f}", "factor", ">value", ">weight", ">share of the score"
        )
        for f in found.factors:
            why.add_row(f.name, f"{f.value:.3f}", f"{f.weight:g}", f"{f.share:.0%}")
        out.print(why)
    for gate in found.gates:
        mark = "passed" if gate.passed else "FAILED"
        say(f"gate {gate.gate}: {mark}, {gate.reason}")
    for d in found.decisions:
        say(f"{d.person}: {d.verdict} {d.reason}")
    say(f"\n{lesson.markdown}")


@review.command("file")
@number_argument
@click.argument("file", type=click.IntRange(0, 1000))
@click.option("--out", "path", type=click.Path(path_type=Path), required=True, help="Where to.")
@pass_office
def file_(office: Office, number: int, file: int, path: Path) -> None:
    """Write a file that came with an upload."""
    found, data = office.library.heard.attachment(number, file)
    try:
        atomic_write(path, data)
    except OSError as error:
        raise ContentError(f"{path} cannot be written: {error.strerror}") from error
    say(f"{path}: {found.kind}, {size(found.size)}, handed in as {found.name}")


@review.command()
@number_argument
@editor_option
@json_option
@pass_office
def approve(office: Office, number: int, editor: str, as_json: bool) -> None:
    """Say yes to a candidate."""
    outcome = office.review.approve(number, editor)
    if as_json:
        print_json(outcome_json(outcome))
    else:
        say(said(outcome))


@review.command()
@number_argument
@editor_option
@click.option("--reason", required=True, help="What is wrong with it.")
@json_option
@pass_office
def reject(office: Office, number: int, editor: str, reason: str, as_json: bool) -> None:
    """Say no to a candidate; the reason is kept."""
    outcome = office.review.reject(number, editor, reason)
    if as_json:
        print_json(outcome_json(outcome))
    else:
        say(said(outcome))


def row_json(candidate: Candidate) -> dict[str, object]:
    """A candidate of the review list for a program."""
    lesson = candidate.lesson
    return {
        "candidate": candidate.id, "state": candidate.state, "origin": candidate.origin,
        "id": lesson.id, "language": lesson.language, "title": lesson.title,
        "topic": lesson.topic, "grade": lesson.grade, "score": candidate.score,
        "factors": candidate.factors, "gates": candidate.gates,
        "model": lesson.provenance.model, "seed": lesson.provenance.seed,
        "approvers": candidate.approvers,
    }  # fmt: skip


def _show(candidates: list[Candidate], title: str) -> None:
    shown = table(
        title, ">no.", ">score", "title", "language", "from", "state", "gates failed", "yes"
    )
    for c in candidates:
        failed = ", ".join(g.gate for g in c.gates if not g.passed)
        score = "" if c.score is None else f"{c.score:.3f}"
        name, language = escape(c.lesson.title), c.lesson.language
        approved = escape(", ".join(c.approvers))
        shown.add_row(str(c.id), score, name, language, c.origin, c.state, failed, approved)
    out.print(shown)


def _author(candidate: Candidate) -> str:
    by = candidate.lesson.provenance
    return f"machine-written by {by.model}, seed {by.seed}" if by.model else f"by {by.author}"


def _brief(
    office: Office,
    topic: str,
    title: str,
    grade: Grade,
    language: Language,
    keywords: tuple[str, ...],
) -> Brief:
    topics = [t.id for t in office.channel.topics]
    if topic not in topics:
        raise UnknownError(f"there is no topic {topic!r}", hint=f"topics: {', '.join(topics)}")
    title = " ".join(title.split())
    if not 1 <= len(title) <= MAX_TITLE_CHARS:
        raise click.UsageError(f"--title: 1 to {MAX_TITLE_CHARS} characters")
    words = tuple(line for k in keywords if (line := " ".join(k.split())))
    if len(words) > MAX_KEYWORDS or any(len(w) > MAX_TITLE_CHARS for w in words):
        raise click.UsageError(f"--keyword: up to {MAX_KEYWORDS} of {MAX_TITLE_CHARS} characters")
    return Brief(topic, title, grade, language, words)


def _missed_orders(office: Office, limit: int) -> list[Order]:
    """One brief for each of the searches missed most."""
    searches = demands(office.library, limit)
    if not searches:
        return []
    lessons = [revision.lesson for revision in office.library.lessons()]
    orders: list[Order] = []
    for search in searches:
        language: Language = search.language if search.language in LANGUAGES else "es"
        brief = from_missed(search.query, language, lessons, office.encoder)
        if brief:
            orders.append((brief, search, None))
    return orders
