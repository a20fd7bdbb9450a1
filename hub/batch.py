"""Batch: a file of completions to be written, in OpenAI's batch form, and the file of answers.

* A line of the input is `{"custom_id", "method": "POST", "url": "/v1/completions", "body"}`.
  The whole input is read and judged before anything is written: a line that cannot be asked
  stops the batch with its number, unless it is only a request that the model cannot meet; that
  is answered with its error like any other.
* Answers are appended in the order of the input, each synced before the next begins to be
  waited for. A batch begun again goes on after what is there; half a last line, from a power
  cut, is cut off. An answer file of another input is refused.
* As many requests are in flight as fill the engine's slots twice.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import msgspec

from models.completions.request import OBJECT, Begun, Decoder, begin, choice, fields, reason
from models.completions.schema import CompletionAsked, Usage, read
from models.errors import InvalidRequest, Overloaded
from sync.errors import ContentError
from sync.files import space_errors

MAX_LINES = 50_000
MAX_LINE_BYTES = 1024 * 1024
MAX_IN_FLIGHT_CHOICES = 16

Progress = Callable[[int, int], None]
"""Told how many are answered, and of how many."""


class Line(msgspec.Struct, frozen=True):
    """One line of the input. `body` is judged by itself."""

    custom_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    body: dict[str, Any]
    method: Literal["POST"] = "POST"
    url: Literal["/v1/completions"] = "/v1/completions"


class _Answered(msgspec.Struct, frozen=True):
    """What is read again of an answer."""

    custom_id: str


class Summary(msgspec.Struct, frozen=True):
    """What a run did: lines answered now, before, of them refused; tokens written now."""

    written: int
    held: int
    refused: int
    tokens: int


def lines(path: Path) -> list[Line]:
    """The batch at `path`. Raises ContentError that names the line."""
    found: list[Line] = []
    seen: set[str] = set()
    for number, text in enumerate(_raw(path), 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ContentError(
                f"{path}, line {number}: {error}",
                hint='a line is {"custom_id": "…", "body": {"prompt": "…"}}',
            ) from error
        if line.custom_id in seen:
            raise ContentError(f"{path}, line {number}: custom_id {line.custom_id!r} came before")
        seen.add(line.custom_id)
        found.append(line)
        if len(found) > MAX_LINES:
            raise ContentError(f"{path}: more than {MAX_LINES} lines", hint="split the file")
    if not found:
        raise ContentError(f"{path}: no request in it")
    return found


def run(
    batch: Sequence[Line],
    answers: Path,
    engine: Decoder,
    now: Callable[[], float],
    progress: Progress = lambda done, of: None,
) -> Summary:
    """Writes what of `batch` is not in `answers` yet.

    Raises ContentError: `answers` belongs to another batch. ModelError: the engine stopped.
    Overloaded: it is busy
    with others. SpaceError: the disk is full. What was written stays.
    """
    with space_errors(str(answers)), answers.open("a+b") as file:
        held = _resume(file, batch, answers)
        waiting, flying = deque(batch[held:]), deque[tuple[Line, Begun | InvalidRequest]]()
        done, refused, tokens = held, 0, 0
        progress(done, len(batch))
        try:
            while waiting or flying:
                while waiting and _choices(flying) < MAX_IN_FLIGHT_CHOICES:
                    try:
                        flying.append((waiting[0], _begun(waiting[0], engine)))
                    except Overloaded:
                        if not flying:
                            raise
                        break  # when the first is done there is room
                    waiting.popleft()
                line, begun = flying[0]
                answer, usage = _answer(line, begun, engine, now())
                flying.popleft()
                _append(file, answer)
                done += 1
                refused += isinstance(begun, InvalidRequest)
                tokens += usage.completion_tokens if usage else 0
                progress(done, len(batch))
        finally:
            for _, begun in flying:
                for stream in begun.streams if isinstance(begun, Begun) else ():
                    stream.cancel()
    return Summary(done - held, held, refused, tokens)


def _raw(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while text := file.readline(MAX_LINE_BYTES + 1):
                if len(text) > MAX_LINE_BYTES:
                    raise ContentError(f"{path}: a line is longer than {MAX_LINE_BYTES:,} bytes")
                yield text
    except OSError as error:
        raise ContentError(f"{path} cannot be read: {error.strerror}") from error


def _resume(file: BinaryIO, batch: Sequence[Line], answers: Path) -> int:
    """How many of `batch` are answered in `file`, which ends after them from now on."""
    file.seek(0)
    whole = count = 0
    for text in file:
        if not text.endswith(b"\n"):
            break
        try:
            name = msgspec.json.decode(text, type=_Answered).custom_id
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _foreign(answers, count + 1) from error
        if count >= len(batch) or name != batch[count].custom_id:
            raise _foreign(answers, count + 1)
        whole += len(text)
        count += 1
    file.truncate(whole)
    return count


def _foreign(answers: Path, number: int) -> ContentError:
    return ContentError(
        f"{answers}, line {number}: not the answer to that line of the batch",
        hint="name another file for the answers",
    )


def _choices(flying: Sequence[tuple[Line, Begun | InvalidRequest]]) -> int:
    return sum(len(b.streams) if isinstance(b, Begun) else 1 for _, b in flying)


def _begun(line: Line, engine: Decoder) -> Begun | InvalidRequest:
    try:
        asked = read(msgspec.json.encode(line.body), CompletionAsked)
        if asked.model and asked.model != engine.name:
            raise InvalidRequest(
                f"the model {asked.model!r} is not {engine.name!r}",
                param="model",
                code="model_not_found",
            )
        return begin(asked, engine, None)
    except InvalidRequest as error:
        return error


def _answer(
    line: Line, begun: Begun | InvalidRequest, engine: Decoder, now: float
) -> tuple[dict[str, object], Usage | None]:
    """The line that answers `line`, once it is written. Raises ModelError."""
    if isinstance(begun, InvalidRequest):
        error = {"message": str(begun), "param": begun.param, "code": begun.code}
        return {"custom_id": line.custom_id, "response": None, "error": error}, None
    choices = []
    for number, stream in enumerate(begun.streams):
        pieces = list(stream)
        text = "".join(piece.text for piece in pieces)
        shown = (begun.echo(number) if line.body.get("echo") is True else "") + text
        choices.append(choice(number, shown, reason(pieces[-1])))
    body = {**fields("cmpl", OBJECT, engine, now), "choices": choices, "usage": begun.usage}
    if begun.note:
        body["chaski"] = begun.note
    response = {"status_code": 200, "request_id": body["id"], "body": body}
    return {"custom_id": line.custom_id, "response": response, "error": None}, begun.usage


def _append(file: BinaryIO, answer: object) -> None:
    file.write(msgspec.json.encode(answer) + b"\n")
    file.flush()
    os.fsync(file.fileno())
