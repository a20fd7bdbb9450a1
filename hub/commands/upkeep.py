"""serve, selftest: the program itself."""

from collections.abc import Callable

import click

from hub.brief import Brief
from hub.commands.console import pass_office, say, size
from hub.language import LanguageJudge
from hub.office import Office
from hub.publisher import published
from hub.ranker import text_vector
from models.engine.sampling import Sampling
from models.errors import ModelError
from sync.errors import ChaskiError, ContentError
from sync.files import atomic_write, free_bytes

MIN_FREE_BYTES = 50_000_000


@click.command()
@pass_office
def serve(office: Office) -> None:
    """Serve nodes and the studio until Ctrl-C."""
    from hub.app import run

    run(office.config)


@click.command()
@pass_office
def selftest(office: Office) -> None:
    """Try every part of this hub once; ends with the code of the first that fails."""
    failed: ChaskiError | ModelError | None = None
    for name, check in CHECKS.items():
        try:
            say(f"{name}: {check(office)}")
        except (ChaskiError, ModelError) as error:
            say(f"{name}: FAILED {error}")
            failed = failed or error
    if failed:
        raise failed
    say("all well")


def _data(office: Office) -> str:
    folder = office.config.data
    probe = folder / ".selftest"
    atomic_write(probe, b"selftest")
    probe.unlink()
    free = free_bytes(folder)
    low = " (little)" if free < MIN_FREE_BYTES else ""
    return f"{folder} can be written, {size(free)} free{low}"


def _library(office: Office) -> str:
    counts = office.library.counts()
    return f"{counts['lessons']} lessons, {counts['waiting']} candidates waiting"


def _channel(office: Office) -> str:
    verdict = published(office.shelf, office.config.channel.id)
    if verdict is None:
        return "keys are there, nothing is published yet"
    offer = office.shelf.offer(office.config.channel.id, "none", verdict.root)
    if offer is None:
        raise ContentError(
            f"the manifest of version {verdict.version} is missing",
            hint="restore the folder of published files from its copy",
        )
    if rotten := office.shelf.deltas.damaged():
        raise ContentError(
            f"{len(rotten)} bundles are damaged: {', '.join(str(path) for path in rotten[:3])}",
            hint="remove these files; each is built anew when a node asks for it",
        )
    return f"version {verdict.version} is signed, its whole bundle has {size(offer.size)}"


def _decoder(office: Office) -> str:
    engine = office.engine
    done = engine.generate("Lección: El agua\n", Sampling(max_tokens=8))
    return f"{engine.name} {engine.version} wrote {done.tokens} tokens"


def _encoder(office: Office) -> str:
    encoder = office.encoder
    brief = Brief("salud", "agua segura", "primaria-1", "es")
    same, other = encoder.encode([brief.text, "the market price of potatoes"])
    near = float(text_vector(encoder, brief.text) @ same)
    far = float(same @ other)
    if not near > far:
        raise ModelError(
            f"{encoder.name} finds a text nearer to another than to itself",
            hint="the model folder is not what its card says; restore it from the release",
        )
    return f"{encoder.name} {encoder.version}, {encoder.dimension} dimensions"


def _language(office: Office) -> str:
    text = "El agua hierve antes en la altura, porque allí el aire pesa menos y empuja menos."
    sure = LanguageJudge().confidence(text, "es")
    if sure < 0.5:
        raise ModelError("lingua does not know Spanish", hint="install the program again")
    return f"{sure:.0%} sure that Spanish is Spanish"


CHECKS: dict[str, Callable[[Office], str]] = {
    "data": _data,
    "library": _library,
    "decoder": _decoder,
    "encoder": _encoder,
    "language": _language,
    "channel": _channel,
}
