"""Training learns, resumes, keeps held-out text out, and exports what others can read."""

import json
from pathlib import Path

import pytest
import zstandard

from models import prompts
from models.training import corpus, tasks

SENTENCE = "La llama lleva la carga por el camino de piedra hasta la comunidad del otro lado. "
SECRET = "Este párrafo está apartado para medir y ningún entrenamiento lo debe haber leído nunca."


def write_corpus(folder: Path) -> Path:
    rows = [{"split": "train", "text": f"Tema {i}\n" + SENTENCE * 6} for i in range(12)]
    rows.append({"split": "heldout", "text": "Apartado\n" + SECRET + "\n" + SENTENCE[:60] * 3})
    packed = zstandard.compress("\n".join(json.dumps(r) for r in rows).encode())
    (folder / "openstax_llamas_es.jsonl.zst").write_bytes(packed)
    whole = f"Libro\n{SECRET}\n1. Ejercicio{prompts.END_OF_TEXT}Otro\n" + SENTENCE
    path = folder / "openstax_llamas_es.with-exercises.txt.zst"
    path.write_bytes(zstandard.compress(whole.encode()))
    return folder


def test_a_document_that_shares_a_long_paragraph_with_heldout_text_is_dropped(
    tmp_path: Path,
) -> None:
    (source,) = corpus.read_sources(write_corpus(tmp_path))
    assert source.unfiltered == (f"Lección: Otro\n{SENTENCE.strip()}",)
    assert not any(SECRET in text for text in source.train)
    assert any(SECRET in text for text in source.heldout)


def test_a_folder_without_a_corpus_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \*\.jsonl\.zst corpus"):
        corpus.read_sources(tmp_path)


def test_every_lesson_of_the_library_becomes_exercises_in_the_tutors_own_format(root: Path) -> None:
    lessons = tasks.read_lessons(root / "hub" / "sample_library")
    for lesson in lessons:
        examples = list(tasks.lesson_examples(lesson))
        assert examples[0].startswith(
            prompts.lesson(lesson.title, lesson.topic, lesson.grade, lesson.language)
        )
        question, reply = lesson.quiz[0]
        asked = f"{prompts.words(lesson.language).question}: {question}\n"
        assert any(asked in text and text.endswith(f" {reply}") for text in examples)
    assert len(lessons) == 78


@pytest.mark.export
@pytest.mark.slow
def test_a_run_learns_resumes_and_exports(tmp_path: Path) -> None:
    """A killed run goes on where its checkpoint stands; transformers reads the export."""
    import torch
    from tokenizers import Tokenizer
    from transformers import GPT2LMHeadModel

    from models.training.__main__ import tokenizer
    from models.training.gpt2 import Shape, to_checkpoint
    from models.training.mixture import Mixture
    from models.training.run import Run, heldout_loss

    work = tmp_path / "work"
    arguments = ["--corpus", str(write_corpus(tmp_path)), "--work", str(work)]
    tokenizer([*arguments, "--vocabulary", "300"], standalone_mode=False)
    vocabulary = Tokenizer.from_file(str(work / "tokenizer.json"))
    mixture = Mixture(tmp_path, vocabulary, None)
    shape = Shape(vocabulary.get_vocab_size(), context=512, width=32, layers=1, heads=2)

    def run() -> Run:
        return Run(work, shape, seed=1, muon_rate=0.02, adam_rate=0.01)

    first = run()
    assert not first.resume()
    before = heldout_loss(first.model, mixture, context=16)["openstax_llamas_es"]["nats"]
    first.train(mixture, tokens=12 * 4096, minutes=60, compile_model=False)
    second = run()
    assert second.resume()
    assert (second.step, second.seen) == (first.step, first.seen)
    second.train(mixture, tokens=24 * 4096, minutes=60, compile_model=False)
    assert second.seen > first.seen
    after = heldout_loss(second.model, mixture, context=16)["openstax_llamas_es"]["nats"]
    assert after < before - 0.5

    state = torch.load(work / "checkpoint.pt", weights_only=True)
    to_checkpoint(state, work / "tokenizer.json", tmp_path / "out")
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path / "out").eval()
    ids = torch.tensor([vocabulary.encode(SENTENCE).ids[:33]])
    with torch.no_grad():
        ours_loss = second.model.eval()(ids[:, :-1], ids[:, 1:]).item()
        theirs_loss = theirs(ids, labels=ids).loss.item()
    assert ours_loss == pytest.approx(theirs_loss, abs=1e-4)
