"""Office: the parts of the hub as one command needs them, each opened on its first use.

* The composition root of the command line, as `app.py` is that of the server.
* What was opened is closed when the command ends, also when it fails.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Self

from hub.blocks import Blocks
from hub.config import HubConfig
from hub.drafting import Drafting
from hub.gates import Blocklist, Gates
from hub.generator import Generator
from hub.intake import MAX_KEPT_BYTES, MAX_NAMES, Intake
from hub.keyring import Keyring
from hub.language import LanguageJudge
from hub.library import Library
from hub.model_stock import ModelStock
from hub.publisher import Publisher
from hub.ranker import Ranker
from hub.review import Review
from hub.shelf import Shelf
from hub.stock import Stock
from hub.users import Users
from models.encoder import Encoder
from models.engine.engine import Engine
from models.examiner import Examiner
from models.store import ModelStore
from sync.errors import ContentError
from sync.lesson import Channel
from sync.signing import Publisher as Signing


class Office:
    """The hub that the configuration from `load` describes; read when a command needs it."""

    def __init__(self, load: Callable[[], HubConfig]) -> None:
        self._load = load
        self._open = ExitStack()

    @cached_property
    def config(self) -> HubConfig:
        """The settings. Raises SettingsError."""
        return self._load()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @cached_property
    def library(self) -> Library:
        """The database. Raises ContentError."""
        return self._open.enter_context(Library(self.config.database))

    @cached_property
    def blocks(self) -> Blocks:
        """What nodes reported. Raises ContentError."""
        blocks = Blocks(self.config.intake_db, max_names=MAX_NAMES, max_bytes=MAX_KEPT_BYTES)
        self._open.callback(blocks.close)
        return blocks

    @cached_property
    def intake(self) -> Intake:
        """The way in for blocks."""
        return Intake(self.blocks, self.library, signed=self.config.intake.signed)

    @cached_property
    def users(self) -> Users:
        """Who may enter the studio. Raises ContentError."""
        return self._open.enter_context(Users(self.config.users))

    @cached_property
    def review(self) -> Review:
        """Decisions."""
        return Review(self.library, self.config.review)

    @cached_property
    def shelf(self) -> Shelf:
        """The published files."""
        return Shelf(self.config.published)

    @cached_property
    def stock(self) -> Stock:
        """What the channel carries besides lessons."""
        return Stock(self.library, self.shelf)

    @cached_property
    def model_stock(self) -> ModelStock:
        """The models that the channel carries."""
        return ModelStock(self.stock, self.shelf, Examiner(threads=self.config.hub.threads))

    @cached_property
    def signing(self) -> Signing:
        """The keys."""
        return Signing(self.config.keys)

    @property
    def keyring(self) -> Keyring:
        """The keys, to be changed."""
        return Keyring(self.shelf, self.config.keys)

    @cached_property
    def publisher(self) -> Publisher:
        """From the library to the shelf."""
        return Publisher(
            self.library, self.shelf, self.signing, self.config.channel.id, self.config.publisher
        )

    @cached_property
    def models(self) -> ModelStore:
        """The model folders."""
        return ModelStore(self.config.models)

    @cached_property
    def engine(self) -> Engine:
        """The decoder that drafts. Raises ModelError."""
        folder = self.models.open(self.config.generator.model)
        slots = self.config.generator.slots
        engine = Engine.open(folder, threads=self.config.hub.threads, slots=slots)
        self._open.callback(engine.close)
        return engine

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that ranks. Raises ModelError."""
        folder = self.models.open(self.config.ranker.model)
        return Encoder.open(folder, threads=self.config.hub.threads)

    @property
    def channel(self) -> Channel:
        """What this hub publishes. Raises ContentError before the first import."""
        channel = self.library.channel(self.config.channel.id)
        if channel is None:
            raise ContentError(
                f"there is no channel {self.config.channel.id!r} in the library",
                hint="`chaski-hub import FOLDER` brings one in; its id is in channel.toml",
            )
        return channel

    def drafting(self) -> Drafting:
        """The way from a brief to the review list. Raises ModelError, SettingsError."""
        return Drafting(
            self.library,
            Generator(self.engine, self.config.generator, self.channel.license),
            Gates(self.config.gates, Blocklist.read(self.config.blocklist), LanguageJudge()),
            Ranker(self.encoder, self.engine, self.config.ranker),
            self.encoder,
            self.encoder.version,
        )
