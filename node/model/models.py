"""Models: where the folder of an edition is, whole; the channel's copies and the shipped ones."""

from models.edition import Edition, edition
from models.errors import DamagedModelError, ModelError
from models.store import ModelFolder, ModelStore
from node.model.choice import first_of
from node.model.copies import Copies
from sync.manifest import Manifest
from sync.modelfiles import model_entries


class Models:
    """The editions of one model name."""

    def __init__(self, copies: Copies, shipped: ModelStore) -> None:
        self.copies = copies
        self._shipped = shipped
        self._version: tuple[str | None] | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.copies.name

    def shipped_version(self) -> str | None:
        """The version of the shipped model; None: there is none that is whole."""
        if self._version is None:
            try:
                self._version = (self._shipped.open(self.name).version,)
            except ModelError:
                self._version = (None,)
        return self._version[0]

    def folder(self, wanted: Edition | None, *, mend: bool = True) -> ModelFolder:
        """The folder of an edition, hashed; None: the shipped one. `mend`: a damaged copy is
        made anew from the objects.

        Raises DamagedModelError, ModelError: there is none. SpaceError.
        """
        if wanted is None:
            return self._shipped.open(self.name)
        try:
            return self.copies.open(wanted)
        except DamagedModelError:
            if not mend:
                raise
            return self.copies.place(wanted)

    def best(self) -> ModelFolder:
        """What would be opened now; changes nothing. Raises ModelError: nothing can be."""
        trouble: ModelError | None = None
        for one in first_of(self.copies.read()):
            try:
                return self.folder(one, mend=False)
            except ModelError as error:
                trouble = trouble or error
        assert trouble is not None
        raise trouble

    def carried(self, manifest: Manifest | None) -> Edition | None:
        """What the channel carries; None: no such model. Raises ModelError: it is no model."""
        entries = model_entries(manifest.entries, self.name) if manifest else {}
        if not entries:
            return None
        return edition(self.name, {file: (e.hash, e.size) for file, e in entries.items()})
