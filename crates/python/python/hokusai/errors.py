"""What can go wrong: one tree of exceptions, with attributes instead of texts to search."""

from __future__ import annotations

from typing import Any

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "ConfigurationError",
    "ConflictError",
    "HokusaiAuthError",
    "HokusaiWarning",
    "InvalidRequestError",
    "MonthlyLimitError",
    "NotFoundError",
    "RateLimitError",
    "ServiceUnavailableError",
    "UnexpectedAnswerError",
]


class HokusaiAuthError(Exception):
    """Whatever goes wrong with a call.

    `code` says what it was, for programs, `status` is the HTTP status, and `request_id` is what the service's
    operator finds the request by. Each is None where there is none.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id

    def __reduce__(self) -> tuple[Any, ...]:
        # Attributes have to survive the way to another process.
        return (type(self), (self.message,), dict(self.__dict__))


class AuthenticationError(HokusaiAuthError):
    """There is no key or token, or it is not a living one, or not one for this service or address."""


class AuthorizationError(HokusaiAuthError):
    """The key or token is good, and does not allow this."""


class _NotNowError(HokusaiAuthError):
    """What may go well later. `retry_after` says how many seconds to wait, if that is known."""

    def __init__(
        self,
        message: str = "",
        retry_after: float | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, request_id=request_id)
        self.retry_after = retry_after


class RateLimitError(_NotNowError):
    """The key's hour is used up, or there were too many calls. `retry_after` says how many seconds to wait."""


class NotFoundError(HokusaiAuthError):
    """There is no such thing, or none that this key or token may see."""


class ConflictError(HokusaiAuthError):
    """What is the case does not allow this: a name is taken, a key is revoked."""


class InvalidRequestError(HokusaiAuthError):
    """What was asked for can't be right. `errors` names each wrong field and what is wrong with it."""

    def __init__(
        self,
        message: str = "",
        *,
        errors: list[tuple[str, str]] | None = None,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, request_id=request_id)
        self.errors = errors or []


class MonthlyLimitError(HokusaiAuthError):
    """A debit would pass the monthly limit of a key whose plan allows no more. Nothing was taken."""


class ServiceUnavailableError(_NotNowError):
    """The service can't be reached or can't answer now.

    `code` is `unreachable` if nothing was sent. After `timed_out` and `connection_lost` what was asked for may
    have been done. `retry_after` says how many seconds to wait, if the service said so.
    """


class UnexpectedAnswerError(HokusaiAuthError):
    """Something answered, but not as Hokusai would: probably the URL is another program's."""


class ConfigurationError(HokusaiAuthError):
    """A URL, a profile, a variable or the configuration file can't be used."""


class HokusaiWarning(UserWarning):
    """Something that works, and should be looked at."""
