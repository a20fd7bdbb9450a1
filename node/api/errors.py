"""Errors of `/v1`, in the form its clients read: status, message, type, param, code."""

from aiohttp import web

from models.errors import InvalidRequest, Overloaded

RETRY_SECONDS = 10


class ApiError(Exception):
    """What a client is told. `retry_s`: when to ask again."""

    status = 500
    kind = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.retry_s = retry_s

    def body(self) -> dict[str, object]:
        """The error as JSON says it."""
        return {
            "error": {
                "message": str(self),
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> web.Response:
        """The error as an answer."""
        response = web.json_response(self.body(), status=self.status)
        if self.retry_s is not None:
            response.headers["Retry-After"] = str(self.retry_s)
        return response


class InvalidError(ApiError):
    """The request cannot be answered as it is."""

    status = 400
    kind = "invalid_request_error"


class TooLargeError(InvalidError):
    """The body is larger than is read."""

    status = 413


class UnknownModelError(InvalidError):
    """Another model is on board."""

    status = 404


class StrangerError(ApiError):
    """No token, or none that we know."""

    status = 401
    kind = "authentication_error"

    def response(self) -> web.Response:
        """Says how to come in."""
        response = super().response()
        response.headers["WWW-Authenticate"] = "Bearer"
        return response


class BusyError(ApiError):
    """Too many are asking; later."""

    status = 429
    kind = "rate_limit_error"


class UnavailableError(ApiError):
    """There is no model, or it stopped."""

    status = 503


def told(error: Exception) -> ApiError:
    """What the client is told about `error`."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InvalidRequest):
        return InvalidError(str(error), param=error.param, code=error.code)
    if isinstance(error, Overloaded):
        return BusyError(str(error), code="queue_full", retry_s=RETRY_SECONDS)
    return UnavailableError(f"the model cannot answer: {error}")
