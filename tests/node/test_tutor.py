"""The tutor on the real sample library: does it find, quote and refuse as it should?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from models.engine import Piece, Sampling, Stream
from models.errors import Overloaded
from node.relevance import Shares
from node.tutor import MAX_QUESTION_CHARS, Answer, Tutor
from sync.lesson import Language
from tests.node.questions import HELD_IN, HELD_OFF, IN, OFF
from tests.node.village import Village, sample_lessons, village

HIT3 = 0.9
REFUSAL = 0.85


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    made = village(tmp_path_factory.mktemp("school"))
    made.install(1, sample_lessons())
    yield made
    made.store.close()


@dataclass
class Figures:
    """How well a set of questions is dealt with."""

    hit3: float
    precision: float
    recall: float
    mistakes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        school: Village,
        inside: tuple[tuple[Language, str, str], ...],
        outside: tuple[tuple[Language, str], ...],
    ) -> "Figures":
        tutor = Tutor(school.search, school.library, None)
        found = [
            any(hit.id in ids.split() for hit in school.search.find(question, language, 3))
            for language, question, ids in inside
        ]
        wrongly = [q for lang, q, _ in inside if tutor.ask(q, lang).kind == "refusal"]
        answered = [q for lang, q in outside if tutor.ask(q, lang).kind != "refusal"]
        rightly = len(outside) - len(answered)
        return cls(
            hit3=sum(found) / len(inside),
            precision=rightly / (rightly + len(wrongly)),
            recall=rightly / len(outside),
            mistakes=[*wrongly, *answered],
        )

    def __str__(self) -> str:
        return (
            f"hit@3 {self.hit3:.3f}, refusals: precision {self.precision:.3f},"
            f" recall {self.recall:.3f}; mistakes: {self.mistakes}"
        )


@pytest.mark.parametrize(
    ("inside", "outside"), [(IN, OFF), (HELD_IN, HELD_OFF)], ids=["known", "held out"]
)
def test_pupils_questions_are_answered_and_others_refused(
    school: Village,
    inside: tuple[tuple[Language, str, str], ...],
    outside: tuple[tuple[Language, str], ...],
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    figures = Figures.of(school, inside, outside)
    record_testsuite_property(f"tutor {len(inside)}+{len(outside)}", str(figures))
    assert figures.hit3 >= HIT3, figures
    assert figures.precision >= REFUSAL, figures
    assert figures.recall >= REFUSAL, figures


def test_the_questions_of_the_lessons_own_quizzes_are_answered(school: Village) -> None:
    tutor = Tutor(school.search, school.library, None)
    asked = [(one, quiz.question) for one in sample_lessons() for quiz in one.quiz]
    refused = [q for one, q in asked if tutor.ask(q, one.language).kind == "refusal"]
    assert len(refused) <= len(asked) * 0.03, refused


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("¿Qué es la erosión?", "desgaste del suelo"),
        ("que es la fotosintesis", "fabrican su propio alimento"),
        ("¿Qué es una hipótesis?", "respuesta que pensamos antes de probar"),
        ("que es el denominador", "Dice en cuántas partes iguales se dividió"),
        ("¿Qué es una decena?", "grupo de diez cosas se llama decena"),
        ("¿Qué es un sustantivo?", "nombra personas, animales"),
    ],
)
def test_the_quote_is_the_paragraph_that_says_it(
    school: Village, question: str, words: str
) -> None:
    answer = Tutor(school.search, school.library, None).ask(question, "es")
    assert answer.quote
    assert words in " ".join(answer.quote.passage.split())


def test_a_refusal_shows_the_nearest_lessons(school: Village) -> None:
    answer = Tutor(school.search, school.library, None).ask("¿Va a llover mañana en Cusco?", "es")
    assert (answer.kind, answer.quote) == ("refusal", None)
    assert answer.nearest


def test_an_answer_shows_other_lessons_than_the_one_it_quotes(school: Village) -> None:
    answer = Tutor(school.search, school.library, None).ask("¿Qué es la anemia?", "es")
    assert answer.quote
    assert answer.quote.id not in {card.id for card in answer.nearest}


def test_a_lesson_in_another_language_answers_when_the_own_one_has_none(school: Village) -> None:
    answer = Tutor(school.search, school.library, None).ask("what is photosynthesis", "es")
    assert answer.quote
    assert answer.quote.language == "en"


@dataclass
class Pen:
    """An engine that notes what it was given. Tokens are words."""

    context: int = 400
    full: bool = False
    given: list[tuple[str, Sampling, float | None]] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)

    def count(self, text: str) -> int:
        return len(text.split())

    def submit(
        self,
        prompt: str,
        sampling: Sampling,
        deadline_s: float | None = None,
        *,
        client: str = "",
    ) -> Stream:
        if self.full:
            raise Overloaded(4, 3)
        self.given.append((prompt, sampling, deadline_s))
        self.clients.append(client)
        stream = Stream(lambda: None, lambda: 0)
        stream.put(Piece("La erosión es el desgaste del suelo.", done=True, reason="end"))
        return stream


def ask(school: Village, pen: Pen | None, question: str = "¿Qué es la erosión?") -> Answer:
    return tutor(school, pen).ask(question, "es")


def tutor(school: Village, pen: Pen | None) -> Tutor:
    return Tutor(school.search, school.library, pen, max_tokens=50, deadline_s=7)


def test_the_model_sees_the_passage_and_the_question_only(school: Village) -> None:
    pen = Pen()
    answer = ask(school, pen)
    assert answer.kind == "answer"
    stream = tutor(school, pen).explain(answer)
    assert stream
    assert list(stream) == ["La erosión es el desgaste del suelo."]
    ((prompt, sampling, deadline),) = pen.given
    assert prompt.startswith("Texto: La erosión es el desgaste del suelo")
    assert prompt.endswith("Pregunta: ¿Qué es la erosión?\nRespuesta:")
    assert (sampling.max_tokens, deadline) == (50, 7)


def test_the_model_is_told_who_asks_so_that_pupils_take_turns(school: Village) -> None:
    pen = Pen()
    for client in ("10.0.0.7", ""):
        tutor(school, pen).explain(ask(school, pen), client)
    assert pen.clients == ["10.0.0.7", ""]


def test_a_passage_too_long_for_the_model_is_cut(school: Village) -> None:
    pen = Pen(context=80)
    assert tutor(school, pen).explain(ask(school, pen))
    assert len(pen.given[0][0].split()) <= 30


def test_without_a_model_there_is_the_quote_alone(school: Village) -> None:
    answer = ask(school, None)
    assert (answer.kind, tutor(school, None).available) == ("lesson_only", False)
    assert tutor(school, None).explain(answer) is None


def test_a_full_queue_leaves_the_quote(school: Village) -> None:
    pen = Pen(full=True)
    answer = ask(school, pen)
    assert (answer.kind, answer.quote is not None) == ("answer", True)
    assert tutor(school, pen).explain(answer) is None


def test_a_refusal_is_never_explained(school: Village) -> None:
    pen = Pen()
    answer = ask(school, pen, "¿Quién es Bad Bunny?")
    assert (answer.kind, tutor(school, pen).explain(answer), pen.given) == ("refusal", None, [])


def test_a_long_question_is_cut(school: Village) -> None:
    assert len(ask(school, None, "erosión " * 200).question) <= MAX_QUESTION_CHARS


def test_words_in_common_are_not_enough() -> None:
    assert Shares(about=0.5, covered=0.5, here=0.5).relevant
    assert Shares(about=0.0, covered=1.0, here=0.7).relevant
    assert not Shares(about=0.0, covered=1.0, here=0.4).relevant
    assert not Shares(about=0.0, covered=0.7, here=0.7).relevant
    assert not Shares(about=0.3, covered=0.3, here=0.3).relevant
