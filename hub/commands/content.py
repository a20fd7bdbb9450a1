"""import, lesson: what people write."""

import time
from collections import Counter
from pathlib import Path

import click

from hub.commands.console import (
    bar,
    editor_option,
    json_option,
    language_argument,
    out,
    pass_office,
    print_json,
    say,
    table,
)
from hub.ingest import files, markdown
from hub.office import Office
from hub.pictures import check_pictures
from hub.review import Outcome
from sync.errors import ContentError
from sync.files import atomic_write


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--approver",
    "approvers",
    multiple=True,
    metavar="NAME",
    help="Who approves all of it; twice for the lessons that need two persons.",
)
@json_option
@pass_office
def import_(office: Office, folder: Path, approvers: tuple[str, ...], as_json: bool) -> None:
    """Bring in a FOLDER of lessons (ID.LANG.md, channel.toml) and files (files.toml)."""
    read = markdown.read_folder(folder)
    beside = files.read_files(folder, {topic.id for topic in read.channel.topics})
    paths = {one.path for one in beside}
    for lesson in read.lessons:
        check_pictures(lesson, lambda path: path in paths or office.library.carries(path))
    if read.channel.id != office.config.channel.id:
        raise ContentError(
            f"{folder / markdown.CHANNEL_FILE}: key id is {read.channel.id!r}, "
            f"this hub publishes {office.config.channel.id!r}",
            hint="set channel.id in the configuration to the same",
        )
    with office.library.transaction():
        office.library.set_channel(read.channel, time.time())
    carried = {item.path: item for item in office.stock.items()}
    counts: Counter[str] = Counter()
    for one in beside if approvers else ():
        item = office.stock.add(
            folder / one.path, one.about, person=approvers[0], priority=one.priority,
            exact=one.exact,
        )  # fmt: skip
        counts["files"] += item != carried.get(one.path)
        if item.note and not as_json:
            say(f"{one.path} travels in one piece: {item.note}")
    with bar("lessons", len(read.lessons)) as progress:
        for lesson in read.lessons:
            counts[office.review.bring_in(lesson, approvers).state] += 1
            progress.advance(progress.task_ids[0])
    names = ("approved", "waiting", "unchanged", "files")
    if as_json:
        print_json({"channel": read.channel.id} | {name: counts[name] for name in names})
        return
    said = ", ".join(f"{counts[name]} {name}" for name in names[:3])
    say(f"{len(read.lessons)} lessons for {read.channel.id}: {said}")
    if beside and not approvers:
        say(f"{len(beside)} files are left out: with --approver NAME somebody answers for them")
    elif beside:
        say(f"{len(beside)} files beside them: {counts['files']} new or changed")
    if counts["waiting"]:
        say("`chaski-hub review list` shows what waits for a person, or for a second one")


@click.group()
def lesson() -> None:
    """The lessons that are approved."""


@lesson.command("list")
@json_option
@pass_office
def list_(office: Office, as_json: bool) -> None:
    """Every lesson with its current revision."""
    found = office.library.lessons()
    if as_json:
        print_json(
            [
                {
                    "id": r.lesson.id, "language": r.lesson.language, "title": r.lesson.title,
                    "topic": r.lesson.topic, "grade": r.lesson.grade, "revision": r.revision,
                    "approver": r.lesson.provenance.approver, "model": r.lesson.provenance.model,
                }
                for r in found
            ]
        )  # fmt: skip
        return
    shown = table(
        "Lessons", "id", "language", "title", "topic", "grade", ">revision", "approved by"
    )
    for r in found:
        m = r.lesson
        by = m.provenance.approver
        shown.add_row(m.id, m.language, m.title, m.topic, m.grade, str(r.revision), by)
    out.print(shown)


@lesson.command()
@click.argument("lesson_id", metavar="ID")
@language_argument
@click.option("--out", "path", type=click.Path(path_type=Path), help="Write to this file.")
@pass_office
def export(office: Office, lesson_id: str, language: str, path: Path | None) -> None:
    """Print a lesson as Markdown with front matter, ready to be edited."""
    text = markdown.render(office.library.lesson(lesson_id, language).lesson)
    if path is None:
        click.echo(text, nl=False)
        return
    try:
        atomic_write(path, text.encode())
    except OSError as error:
        raise ContentError(f"{path} cannot be written: {error.strerror}") from error


@lesson.command()
@click.argument("lesson_id", metavar="ID")
@language_argument
@click.argument("file", type=click.Path(path_type=Path))
@editor_option
@json_option
@pass_office
def edit(
    office: Office, lesson_id: str, language: str, file: Path, editor: str, as_json: bool
) -> None:
    """Replace a lesson's text by that in FILE; the editor's approval is the first."""
    office.library.lesson(lesson_id, language)
    text = markdown.read_lesson(file)
    for key, given, meant in (("id", text.id, lesson_id), ("language", text.language, language)):
        if given != meant:
            raise ContentError(
                f"{file}: key {key} is {given!r}, the lesson to edit is {lesson_id} in {language}",
                hint="mend the key, or name the other lesson",
            )
    outcome = office.review.edit(text, editor)
    if as_json:
        print_json(outcome_json(outcome))
    else:
        say(said(outcome))


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """A decision's outcome for a program."""
    return {
        "candidate": outcome.candidate, "state": outcome.state, "id": outcome.lesson.id,
        "language": outcome.lesson.language, "revision": outcome.revision,
        "missing": outcome.missing,
    }  # fmt: skip


def said(outcome: Outcome) -> str:
    """A decision's outcome for a person."""
    name = f"{outcome.lesson.id} ({outcome.lesson.language})"
    match outcome.state:
        case "approved":
            return f"{name} is approved: revision {outcome.revision}, goes out with `publish`"
        case "waiting":
            return (
                f"{name} waits for {outcome.missing} more: "
                f"`chaski-hub review approve {outcome.candidate} --editor NAME`"
            )
        case "rejected":
            return f"candidate {outcome.candidate} is rejected"
        case _:
            return f"{name} says that already; nothing changed"
