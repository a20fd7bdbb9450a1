"""Tutor: a question is answered from the library first, and explained by the model second.

* Retrieval first: the best passage is quoted before any machine text, or nothing is.
* An off-library question is refused in words, with the nearest lessons; never guessed.
* The model only ever sees the quoted passage and the question, and is only heard while it
  stays with them (`grounding`). Without a model, or with a full queue, the quote stands alone.
* The passage stands first in the prompt: the engine reads it once for all who ask about it.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from models import prompts
from models.errors import Overloaded
from node.grounding import Grounded, Judge
from node.model.seat import Seat
from node.relevance import shares
from node.store.lessons import LessonCard, Library
from node.store.search import Hit, Search
from sync.lesson import Language

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import Sampling, Stream

MAX_QUESTION_CHARS = 300
CONSIDERED = 3
"""Hits per language that are judged."""
NEAREST = 3
"""Other lessons shown beside an answer or a refusal."""

AnswerKind = Literal["answer", "refusal", "lesson_only"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the library says to a question.

    `answer`: the quote answers it, and a machine-written explanation may follow.
    `lesson_only`: the quote answers it, no machine text (the tutor is off or not on board).
    `refusal`: nothing relevant; `quote` is None, `nearest` are the nearest lessons.
    """

    kind: AnswerKind
    question: str
    language: Language
    quote: Hit | None
    nearest: tuple[LessonCard, ...]


class Explainer(Protocol):
    """The part of `models.engine.Engine` that the tutor uses."""

    context: int
    """Tokens that prompt and answer may have together."""

    def count(self, text: str) -> int:
        """Tokens of `text`."""
        ...

    def submit(
        self,
        prompt: str,
        sampling: "Sampling",
        deadline_s: float | None = None,
        *,
        client: str = "",
    ) -> "Stream":
        """Starts writing. Raises Overloaded when too many are waiting."""
        ...


class Lender(Protocol):
    """A seat for an explainer; `node.model.seat.Seat`."""

    @property
    def engine(self) -> Explainer | None:
        """Who sits there now."""
        ...

    def lend(self) -> AbstractContextManager[Explainer | None]:
        """Who sits there, for as long as it takes to ask."""
        ...


class Tutor:
    """Answers questions. Safe from any thread."""

    def __init__(
        self,
        search: Search,
        library: Library,
        engine: Explainer | Seat[Any] | None,
        *,
        max_tokens: int = 120,
        deadline_s: float = 60.0,
    ) -> None:
        """`engine` is None when the tutor is off or no model is on board; in a seat it may come,
        go and change. The rest bounds one explanation."""
        self._search = search
        self._library = library
        self._seat: Lender = engine if isinstance(engine, Seat) else Seat(engine)
        self._max_tokens = max_tokens
        self._deadline_s = deadline_s

    @property
    def available(self) -> bool:
        """True when machine text can be written on this node at all."""
        return self._seat.engine is not None

    def ask(self, question: str, language: Language) -> Answer:
        """The library's answer; a long question is cut."""
        question = " ".join(question[:MAX_QUESTION_CHARS].split())
        quote = self._quote(question, language)
        found = [hit.id for hit in self._search.find(question, language, NEAREST + 1)]
        nearest = [id_ for id_ in found if quote is None or id_ != quote.id][:NEAREST]
        cards = [card for id_ in nearest if (card := self._library.card(id_, language))]
        kind: AnswerKind = "refusal"
        if quote:
            kind = "answer" if self.available else "lesson_only"
        return Answer(kind, question, language, quote, tuple(cards))

    def explain(self, answer: Answer, client: str = "") -> Grounded | None:
        """The machine-written explanation, streamed; None when there is none to be had.

        Who asks several things at once (`client`, empty: unknown) takes turns with the others.
        None for an `answer` means that too many questions are waiting (say: busy). Raises
        ModelError when the engine has stopped.
        """
        quote = answer.quote
        if answer.kind != "answer" or quote is None:
            return None
        with self._seat.lend() as engine:
            stream = self._begin(engine, quote, answer.question, client) if engine else None
        if stream is None:
            return None
        return Grounded(stream, Judge(answer.question, quote.passage, quote.language))

    def _begin(self, engine: Explainer, quote: Hit, question: str, client: str) -> "Stream | None":
        """What `engine` writes; None when too many are waiting."""
        from models.engine import Sampling  # here: only a node with a model loads the runtime

        prompt = self._prompt(engine, quote, question)
        sampling = Sampling(max_tokens=self._max_tokens, stop=("\n",))
        try:
            return engine.submit(prompt, sampling, self._deadline_s, client=client)
        except Overloaded:
            return None

    def _quote(self, question: str, language: Language) -> Hit | None:
        for result in self._search.results(question, language, CONSIDERED):
            for hit in result.hits:
                if shares(result, hit).relevant:
                    return hit
        return None

    def _prompt(self, engine: Explainer, quote: Hit, question: str) -> str:
        """The prompt with as much of the passage as fits beside the answer to come."""
        room = engine.context - self._max_tokens
        words = quote.passage.split()
        while True:
            prompt = prompts.answer(" ".join(words), question, quote.language)
            over = engine.count(prompt) - room
            if over <= 0 or not words:
                return prompt
            words = words[: len(words) - max(1, over // 4)]
