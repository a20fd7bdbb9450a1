"""Keyring: the keys of this hub, made, replaced and told.

* The root keys may be elsewhere: one in each of the folders that the caller gives, of which a
  threshold must be at hand to change anything. The other keys are in the hub's own folder.
* A change is: new key in `next/`, next root on the shelf, then the new key in its place. What
  a crash leaves in between is finished by the next change.
* Afterwards the head must be signed again (`hub.publisher.Publisher.sign_again`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.shelf import Shelf
from sync import keys, roots
from sync.errors import SettingsError
from sync.head import PUBLISHING, Role
from sync.roots import Change, RootInfo, Signer

MIN_KEYID_CHARS = 6


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys in `folder`, the roots on `shelf`."""

    shelf: Shelf
    folder: Path
    clock: Callable[[], float] = time.time
    step: Callable[[], None] = lambda: None
    """Called before each change of the disk that `create` makes."""

    def create(self, offline: Sequence[Path] = (), threshold: int = 1) -> None:
        """The first keys and root 1. One root key in each folder of `offline`, or else here.

        Raises SettingsError: made already, or a threshold that cannot be met.
        """
        with self.shelf.publishing():
            if self.shelf.root(1) is not None:
                raise SettingsError(
                    "keys were made already: nodes trust them, they are never overwritten",
                    hint="`chaski-hub keys rotate ROLE` replaces one",
                )
            homes = list(dict.fromkeys(offline)) or [self.folder]
            if not 1 <= threshold <= len(homes):
                raise SettingsError(
                    f"a threshold of {threshold} with {len(homes)} root keys",
                    hint="give --offline-root once for each root key",
                )
            wanted: dict[Path, list[Role]] = {self.folder: [*PUBLISHING]}
            for home in homes:
                wanted.setdefault(home, []).append("root")
            # The hub's own set is made first. When it is there without a root, the power went
            # in the middle: what was made is used, the rest is made now.
            resumed = all(keys.path(self.folder, role).exists() for role in wanted[self.folder])
            for home, made in wanted.items():
                there = [keys.path(home, r) for r in made if keys.path(home, r).exists()]
                if there and not resumed:
                    raise SettingsError(
                        f"key {there[0]} is there already and is never overwritten",
                        hint="give an empty folder for each root key",
                    )
            for home, made in wanted.items():
                if not all(keys.path(home, role).exists() for role in made):
                    keys.create(home, made, self.step)
            publics = {r: keys.load(self.folder, r).public_key for r in PUBLISHING}
            signers = [keys.load(home, "root") for home in homes]
            self.step()
            self.shelf.put_root(1, roots.first(publics, signers, threshold, self.clock()))

    def rotate(
        self, role: Role, offline: Sequence[Path] = (), threshold: int | None = None
    ) -> RootInfo:
        """A new key for `role`, and the next root. For root: a new one in each folder given.

        Raises SettingsError: a key is missing. TrustError: too few root keys are at hand.
        """
        homes = list(dict.fromkeys(offline)) or [self.folder]
        places = homes if role == "root" else [self.folder]
        with self.shelf.publishing():
            self._settle([self.folder, *homes])
            signers = [keys.load(home, "root") for home in homes]
            made = [keys.load(keys.pending(place, role), role) for place in places]
            publics = [signer.public_key for signer in made]
            if role == "root":
                change, signers = Change({}, publics, threshold), [*signers, *made]
            else:
                change = Change({role: publics[0]}, threshold=threshold)
            return self._follow(change, signers, places)

    def revoke(self, key: str, offline: Sequence[Path] = ()) -> RootInfo:
        """Lets a key count no more. `key` is the beginning of its id, or a role that signs heads.

        A role that signs heads gets a new key in its place; of the root keys a threshold must
        remain. Raises as `rotate`.
        """
        roles = [role for role in PUBLISHING if role == key] or self._roles(key)
        if roles != ["root"]:
            return self.rotate(roles[0], offline)
        homes = list(dict.fromkeys(offline)) or [self.folder]
        with self.shelf.publishing():
            self._settle([self.folder, *homes])
            gone = [k for k in self.show().role("root").keys if k.startswith(key)]
            signers = [keys.load(home, "root") for home in homes]
            return self._follow(Change({}, dropped=gone), signers, [])

    def show(self) -> RootInfo:
        """The newest root. Raises SettingsError when there is none."""
        return roots.read(self._newest())

    def here(self, role: Role) -> bool:
        """True when the key of `role` is in the hub's own folder."""
        return keys.path(self.folder, role).exists()

    def _roles(self, key: str) -> list[Role]:
        """The role of the one key whose id begins with `key`."""
        named = [(r.role, k) for r in self.show().roles for k in r.keys if k.startswith(key)]
        if len(key) < MIN_KEYID_CHARS or len(named) != 1:
            raise SettingsError(
                f"{key[:80]!r} is not one key",
                hint=f"give at least {MIN_KEYID_CHARS} characters of an id, or a role other than "
                "root; `chaski-hub keys show` lists them",
            )
        return [named[0][0]]

    def _follow(
        self, change: Change, signers: Sequence[Signer], places: Sequence[Path]
    ) -> RootInfo:
        data = roots.following(self._newest(), change, signers, self.clock())
        info = roots.read(data)
        self.shelf.put_root(info.version, data)
        self._settle([self.folder, *places])
        return info

    def _settle(self, places: Sequence[Path]) -> None:
        """Finishes a change whose root is on the shelf."""
        for one in self.show().roles:
            for place in dict.fromkeys(places):
                keys.succeed(place, one.role, one.keys)

    def _newest(self) -> bytes:
        newest = max(self.shelf.roots(), default=0)
        data = self.shelf.root(newest)
        if data is None:
            raise SettingsError(
                "this hub has no keys yet", hint="make them: `chaski-hub keys create`"
            )
        return data
