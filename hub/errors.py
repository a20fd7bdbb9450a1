"""Errors that only an editor can meet. The rest are in `sync.errors` and `models.errors`.

* Both end the command line with exit code 1; the studio answers 404 and 409.
"""

from sync.errors import ChaskiError


class UnknownError(ChaskiError):
    """There is no lesson, candidate, brief or topic of that name."""


class DecidedError(ChaskiError):
    """The decision cannot be taken: it was taken already, or not by this person."""
