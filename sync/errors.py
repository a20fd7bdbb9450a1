"""Errors by whose fault it is.

* ContentError: they are wrong (damaged, forged, out of bounds). Never retried as it is.
* TransportError: the road failed. Retried, resumed.
* SpaceError: we are full. Nothing was changed.
* SettingsError: the operator's configuration is wrong.

Every error says what happened, to which object, and in `hint` the next step. `exit_code`
is stable; CONTRIBUTING.md lists the codes and a test compares them.
"""


class ChaskiError(Exception):
    """Base of everything that is reported to a person in one line."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(ChaskiError):
    """A configuration file, key or environment variable is unreadable or ambiguous."""

    exit_code = 3


class ContentError(ChaskiError):
    """Bytes from outside are damaged or break a rule of the format."""

    exit_code = 4


class TrustError(ContentError):
    """A signature, version floor or expiry refuses what was offered."""

    exit_code = 5


class SpaceError(ChaskiError):
    """The disk is full, or would be."""

    exit_code = 7


class TransportError(ChaskiError):
    """The other side cannot be reached, or the link died."""

    exit_code = 8


class BusyError(ChaskiError):
    """A port, lock or folder that we need is taken by another process."""

    exit_code = 9
