"""With which key, and where: what is given, what was set up, variables, the configuration file, defaults."""

from __future__ import annotations

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

from hokusai import _native
from hokusai._asking import ask, given, text
from hokusai.errors import (
    AuthenticationError,
    AuthorizationError,
    HokusaiAuthError,
    HokusaiWarning,
    RateLimitError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hokusai.keys import ValidatedKey

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "HokusaiAuth",
    "HokusaiAuthError",
    "RateLimitError",
    "configure",
    "setup",
]

TIMEOUT = 10.0

# What `setup` was told, for all that is made afterwards.
_set_up: dict[str, str] = {}


class Connection:
    """What counts, and where each value comes from."""

    def __init__(self, told: Mapping[str, str | None], profile: str | None, *, set_up: bool = True) -> None:
        values = [(name, False, _plain(name, value)) for name, value in told.items() if value is not None]
        if set_up:
            values += [(name, True, value) for name, value in _set_up.items()]
        found: dict[str, Any] = json.loads(_native.settle(values, profile, os.environ))
        self.values: dict[str, str | None] = {name: (found[name] or [None])[0] for name in _SETTINGS}
        self.sources: dict[str, str | None] = {name: (found[name] or [None, None])[1] for name in _SETTINGS}
        self.file: str = found["file"]
        for warning in found["warnings"]:
            if warning not in _warned:
                _warned.add(warning)
                warnings.warn(warning, HokusaiWarning, stacklevel=4)

    @property
    def profile(self) -> str:
        return str(self.values["profile"])

    def url(self, name: str) -> str:
        return str(self.values[name]).rstrip("/")

    def credential(self, name: str) -> str:
        """The key or token, which has to be there."""
        value = self.values[name]
        if value:
            return value
        what = {"api_key": "API key", "admin_token": "admin token"}[name]
        looked_at = [f"{name}=… was not given"]
        if name == "api_key":
            looked_at.append("setup(api_key=…) was not called")
        looked_at.append(f"HOKUSAI_{name.upper()} is not set")
        looked_at.append(f"profile {self.profile} in {self.file} has no {name}")
        raise AuthenticationError(f"there is no {what}: {', '.join(looked_at)}", code="missing_credential")


_SETTINGS = ("profile", "api_key", "admin_token", "api_endpoint", "auth_service_url")
_warned: set[str] = set()


class HokusaiAuth:
    """An API key, and where it is used.

    What is not given is taken from `setup`, from the variables `HOKUSAI_API_KEY`, `HOKUSAI_API_ENDPOINT` and
    `HOKUSAI_AUTH_SERVICE_URL`, from the profile in `~/.hokusai/config`, and from the defaults, in this order.
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_endpoint: str | None = None,
        auth_service_url: str | None = None,
        validate_with_auth_service: bool = False,
        *,
        profile: str | None = None,
        allow_plain_http: bool = False,
    ) -> None:
        told = {"api_key": api_key, "api_endpoint": api_endpoint, "auth_service_url": auth_service_url}
        self._connection = Connection(told, profile)
        self._api_key = self._connection.credential("api_key")
        self._allow_plain_http = allow_plain_http
        self._validated: ValidatedKey | None = None
        if validate_with_auth_service:
            self._validate_or_warn()

    @property
    def api_key(self) -> str:
        """The key."""
        return self._api_key

    @property
    def api_endpoint(self) -> str:
        """Where the gateway is."""
        return self._connection.url("api_endpoint")

    @property
    def auth_service_url(self) -> str:
        """Where the authentication service is."""
        return self._connection.url("auth_service_url")

    @property
    def profile(self) -> str:
        """The profile of the configuration file that counts."""
        return self._connection.profile

    @property
    def sources(self) -> dict[str, str | None]:
        """Where each value comes from."""
        return dict(self._connection.sources)

    @property
    def user_id(self) -> str | None:
        """Whose key it is, once it was validated."""
        return self._validated.user_id if self._validated else None

    @property
    def scopes(self) -> list[str] | None:
        """What the key may be used for, once it was validated."""
        return list(self._validated.scopes) if self._validated else None

    def get_headers(self) -> dict[str, str]:
        """The header that bears the key."""
        return {"Authorization": f"Bearer {self._api_key}"}

    def validate(
        self, *, service_id: str | None = None, required_scope: str | None = None, timeout: float = TIMEOUT
    ) -> ValidatedKey:
        """Asks the service whether the key is good. It costs one request of the key's hour.

        A refused key is an AuthenticationError; one whose hour is used up, a RateLimitError.
        """
        remote = _native.Remote(self.auth_service_url, None, timeout, self._allow_plain_http)
        self._validated = validated(ask(remote, *validation(self._api_key, service_id, required_scope, None)))
        return self._validated

    def _validate_or_warn(self) -> None:
        try:
            self.validate(timeout=5.0)
        except (ServiceUnavailableError, UnexpectedAnswerError) as error:
            warnings.warn(f"the API key was not validated: {error}", HokusaiWarning, stacklevel=4)

    def __repr__(self) -> str:
        return f"<HokusaiAuth at {self.api_endpoint}, key from {self._connection.sources['api_key']}>"


def setup(
    api_key: str | None = None,
    api_endpoint: str | None = None,
    auth_service_url: str | None = None,
    validate_with_auth_service: bool = False,
) -> None:
    """Says once which key and which URLs everything made afterwards uses. What is None is found elsewhere.

    With `validate_with_auth_service` the service is asked about the key: a refused one is an
    AuthenticationError, and nothing is set up. If the service can't be asked, a warning says so.
    """
    told = {"api_key": api_key, "api_endpoint": api_endpoint, "auth_service_url": auth_service_url}
    plain = {name: _plain(name, value) for name, value in told.items() if value is not None}
    before = dict(_set_up)
    try:
        _set_up.clear()
        _set_up.update(plain)
        if validate_with_auth_service:
            HokusaiAuth(validate_with_auth_service=True)
        else:
            # A mistake shows here and not at the first use.
            Connection({}, None)
    except BaseException:
        _set_up.clear()
        _set_up.update(before)
        raise


configure = setup


def _plain(name: str, value: object) -> str:
    """A value without the white space that came along when it was pasted."""
    plain = text(name, value).strip()
    if not plain:
        raise AuthenticationError(f"{name} is empty", code="missing_credential")
    return plain


def validation(
    key: str, service_id: str | None, required_scope: str | None, client_ip: str | None
) -> tuple[str, dict[str, Any]]:
    """The question whether a key is good."""
    question = given(service_id=service_id, required_scope=required_scope, client_ip=client_ip)
    return "service.validate", {"key": text("key", key).strip(), "question": question}


def validated(told: Mapping[str, Any]) -> ValidatedKey:
    """What the service said of a good key."""
    from datetime import datetime, timezone

    from hokusai.keys import ValidatedKey

    resets_at = datetime.fromtimestamp(told["resets_at"] / 1_000_000, timezone.utc)
    return ValidatedKey._read({**told["key"], "remaining": told["remaining"], "resets_at": resets_at})
