"""How the front asks the native half: fields as JSON, and back."""

from __future__ import annotations

import json
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from hokusai.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hokusai._native import Remote


class Unset(Enum):
    """What a change leaves as it is, where None means something."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET


def ask(remote: Remote, what: str, fields: Mapping[str, Any]) -> Any:
    """Asks, and waits for the answer."""
    return json.loads(remote.ask(what, written(fields)))


async def ask_async(remote: Remote, what: str, fields: Mapping[str, Any]) -> Any:
    """Asks, and lets others run meanwhile."""
    return json.loads(await remote.ask_async(what, written(fields)))


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def written(fields: Mapping[str, Any]) -> str:
    """Fields as JSON. What has no such form is told by the field's name."""
    for name, value in fields.items():
        if isinstance(value, str):
            _check_text(name, value)
    try:
        return json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"a field has no form in JSON: {error}") from None


def time_text(name: str, time: datetime | str | None) -> str | None:
    """A time as the service reads it. One without a zone could mean anything."""
    if isinstance(time, datetime):
        if time.tzinfo is None:
            message = "must have a time zone, such as datetime.now(timezone.utc) has"
            raise InvalidRequestError(f"{name}: {message}", errors=[(name, message)], code="invalid_argument")
        return time.isoformat()
    return time


def text(name: str, value: object) -> str:
    """A text that has to be there."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    _check_text(name, value)
    return value


def _check_text(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        message = "holds characters that no text can have (surrogates)"
        raise InvalidRequestError(
            f"{name}: {message}", errors=[(name, message)], code="invalid_argument"
        ) from None
