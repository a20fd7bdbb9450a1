"""learning, reports, missed: what villages tell, and what is made of it."""

import time

import click
import msgspec
from rich.markup import escape

from hub.brief import from_missed
from hub.commands.console import (
    editor_option,
    json_option,
    out,
    pass_office,
    print_json,
    say,
    table,
)
from hub.demand import demand_for, demands
from hub.errors import UnknownError
from hub.learning import DAY, day_of
from hub.office import Office
from hub.reports import Report
from sync.lesson import Language

SHOWN = 50
language_option = click.option(
    "--language", type=click.Choice(("es", "qu", "en")), default="es", show_default=True
)


@click.command()
@click.option("--lesson", help="Only this lesson.")
@click.option("--days", type=click.IntRange(1, 800), default=90, show_default=True)
@json_option
@pass_office
def learning(office: Office, lesson: str | None, days: int, as_json: bool) -> None:
    """How lessons do: opened, finished, quiz answers right, the hardest question."""
    since = day_of(time.time() - days * DAY)
    found = office.library.learning.lessons(since, lesson)
    if as_json:
        print_json([msgspec.structs.asdict(one) | {"share": one.share} for one in found])
        return
    if not found:
        say(f"no village has told anything since {since}")
        return
    shown = table(
        f"Learning since {since}", "lesson", "language", ">opened", ">finished", ">quizzes",
        ">right", "hardest question", ">asked", ">helped", ">not", ">villages", ">reports",
    )  # fmt: skip
    for one in found:
        right = "" if one.share is None else f"{one.share:.0%}"
        hardest = f"{one.hardest} ({one.hardest_missed} wrong)" if one.hardest else ""
        shown.add_row(
            one.lesson, one.language, str(one.opened), str(one.finished), str(one.quizzes), right,
            hardest, str(one.asked), str(one.helped), str(one.failed), str(one.nodes),
            str(one.reports),
        )  # fmt: skip
    out.print(shown)


@click.group()
def reports() -> None:
    """What people in villages say is wrong."""


@reports.command("list")
@click.option("--closed", is_flag=True, help="Those dealt with, instead of the open ones.")
@click.option("--lesson", help="Only of this lesson.")
@json_option
@pass_office
def list_(office: Office, closed: bool, lesson: str | None, as_json: bool) -> None:
    """The open reports, the newest first."""
    found = office.library.reports.all(closed=closed, lesson=lesson)
    if as_json:
        print_json(found)
        return
    if not found:
        say("no report was dealt with yet" if closed else "no report is open")
        return
    shown = table("Reports", ">no.", "lesson", "node", "about", "said", "day", "dealt with")
    for one in found:
        done = f"{one.person}: {one.outcome}" if one.person else ""
        shown.add_row(
            str(one.id), f"{one.lesson} ({one.language})", one.node, one.verdict,
            escape(_said(one)), day_of(one.at), escape(done),
        )  # fmt: skip
    out.print(shown)


@reports.command()
@click.argument("number", type=click.IntRange(1, 2**63 - 1))
@editor_option
@click.option("--outcome", required=True, help="What came of it, in a few words.")
@json_option
@pass_office
def close(office: Office, number: int, editor: str, outcome: str, as_json: bool) -> None:
    """Say that report NUMBER was dealt with, by whom and how."""
    with office.library.transaction():
        done = office.library.reports.close(number, editor, outcome, time.time())
    if as_json:
        print_json(done)
    else:
        say(f"report {number} on {done.lesson} is dealt with by {done.person}")


@click.group()
def missed() -> None:
    """What pupils looked for in vain."""


@missed.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=SHOWN, show_default=True)
@json_option
@pass_office
def missed_list(office: Office, limit: int, as_json: bool) -> None:
    """The wishes without a brief, the most asked first."""
    found = demands(office.library, limit)
    if as_json:
        print_json(found)
        return
    if not found:
        say("no missed search waits for a brief")
        return
    shown = table("Missed searches", "search", "language", ">times", ">villages", "last", "also as")
    for one in found:
        also = ", ".join(one.searches[1:5])
        shown.add_row(
            escape(one.query), one.language, str(one.times), str(one.nodes), day_of(one.last),
            escape(also),
        )  # fmt: skip
    out.print(shown)
    say("`chaski-hub missed brief SEARCH` makes a brief of one")


@missed.command()
@click.argument("query")
@language_option
@json_option
@pass_office
def brief(office: Office, query: str, language: Language, as_json: bool) -> None:
    """Make a brief of the wish to which QUERY belongs; `generate --open` drafts it."""
    found = demand_for(office.library, query, language)
    if found is None:
        raise UnknownError(
            f"nobody looked for {query[:80]!r} in vain in {language!r}",
            hint="`chaski-hub missed list` shows what waits",
        )
    lessons = [revision.lesson for revision in office.library.lessons()]
    made = from_missed(found.query, language, lessons, office.encoder)
    if made is None:
        raise UnknownError(
            "there is no lesson to take topic and grade from",
            hint="`chaski-hub generate --topic …` makes a brief by hand",
        )
    with office.library.transaction():
        number = office.library.add_brief(made, 0, time.time())
        office.library.settle_missed(found.searches, language, number)
    if as_json:
        print_json({"brief": number, "title": made.title, "topic": made.topic, "grade": made.grade})
    else:
        say(f"brief {number}: {made.title} ({made.topic}, {made.grade})")
        say("`chaski-hub generate --open` drafts it")


def _said(report: Report) -> str:
    return " / ".join(text for text in (report.question, report.note) if text)[:120]
