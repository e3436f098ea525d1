"""The verifier: whether a key may be used for something, said from memory, with exact limits."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING
from weakref import WeakSet

from hokusai import _native
from hokusai._asking import text
from hokusai.auth import Connection
from hokusai.errors import (
    AuthenticationError,
    AuthorizationError,
    HokusaiAuthError,
    InvalidRequestError,
    RateLimitError,
    ServiceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence
    from os import PathLike

__all__ = ["Admitted", "Demand", "Denied", "Verifier"]

Admitted = _native.Admitted
Denied = _native.Denied
Demand = _native.Demand
OUTCOMES = (Admitted, Denied)

# At the end of a process, what is unused is given back and what was reported is sent, for so many seconds.
PATIENCE = 2.0
_living: WeakSet[Verifier] = WeakSet()
_default: list[Verifier] = []


class Verifier:
    """Admits requests by their keys from memory; the service is asked once for each key and time to live.

    `auth_service_url` names the service, or every node of it; `service_token` is an admin token with the role
    `verifier`. What is not given is taken from HOKUSAI_AUTH_SERVICE_URL and HOKUSAI_SERVICE_TOKEN. With a
    `journal`, a directory, keys go on working through an outage; processes may share the directory.
    `validation_ttl` is in seconds, 1 to 300.

    Make one for each application. Each process that uses it, forked ones too, starts a verifier of its own at
    its first question.
    """

    def __init__(
        self,
        auth_service_url: str | Sequence[str] | None = None,
        service_token: str | None = None,
        *,
        journal: str | PathLike[str] | None = None,
        validation_ttl: float = 300.0,
        cached_keys: int = 1_000_000,
        lookups_per_second: int = 50,
        report_usage: bool = True,
        allow_plain_http: bool = False,
    ) -> None:
        self._nodes = _nodes(auth_service_url)
        self._native = _native.Verifier(
            self._nodes,
            _token(service_token),
            journal,
            validation_ttl,
            cached_keys,
            lookups_per_second,
            report_usage,
            allow_plain_http,
        )
        _living.add(self)

    def check(
        self, headers: Iterable[tuple[bytes, bytes]], address: str | None, demand: Demand
    ) -> Admitted | Denied | Awaitable[Admitted | Denied]:
        """What becomes of a request with these headers, whose names are in small letters, from this address.

        It is said at once where memory knows, else by something to await.
        """
        return self._native.check(headers, address, demand)

    def admit(
        self,
        api_key: str,
        *,
        service_id: str | None = None,
        scope: str | None = None,
        client_ip: str | None = None,
    ) -> Admitted:
        """Counts a request of a key that may be used for this. Else it raises what the clients raise, too."""
        demand = Demand(service_id, scope)
        return _admitted(self._native.check_key(text("api_key", api_key), client_ip, demand))

    async def admit_async(
        self,
        api_key: str,
        *,
        service_id: str | None = None,
        scope: str | None = None,
        client_ip: str | None = None,
    ) -> Admitted:
        """As `admit`; others run meanwhile."""
        headers = [(b"x-api-key", text("api_key", api_key).strip().encode())]
        outcome = self._native.check(headers, client_ip, Demand(service_id, scope))
        return _admitted(outcome if isinstance(outcome, OUTCOMES) else await outcome)

    def stop(self, patience: float = PATIENCE) -> None:
        """Gives back what is unused and sends what was reported, for at most so many seconds.

        Afterwards nothing is admitted. A process that ends does this by itself, unless it is killed.
        """
        self._native.stop(patience)

    async def stop_async(self, patience: float = PATIENCE) -> None:
        """As `stop`; others run meanwhile."""
        await self._native.stop_async(patience)

    def metrics(self) -> str:
        """How this process's verifier stands, as text for Prometheus."""
        return self._native.metrics().decode()

    def __repr__(self) -> str:
        return f"<Verifier at {', '.join(self._nodes)}>"


def default() -> Verifier:
    """The verifier that the environment names, one for all who hand over none."""
    if not _default:
        _default.append(Verifier())
    return _default[0]


async def stop_default() -> None:
    """Stops that one, at the end of an application. Another application in this process has a new one."""
    if _default:
        await _default.pop().stop_async()


def _nodes(given: str | Sequence[str] | None) -> list[str]:
    if given is None or isinstance(given, str):
        return [Connection({"auth_service_url": given}, None).url("auth_service_url")]
    return [text("auth_service_url", node).strip() for node in given]


def _token(given: str | None) -> str:
    token = os.environ.get("HOKUSAI_SERVICE_TOKEN", "") if given is None else text("service_token", given)
    if not token.strip():
        what = "service_token=… was not given" if given is None else "service_token is empty"
        looked_at = f"{what}, HOKUSAI_SERVICE_TOKEN is not set" if given is None else what
        raise AuthenticationError(f"there is no service token: {looked_at}", code="missing_credential")
    return token.strip()


def _admitted(outcome: Admitted | Denied) -> Admitted:
    if isinstance(outcome, Admitted):
        return outcome
    raise error_of(outcome)


def error_of(denied: Denied) -> HokusaiAuthError:
    """What the clients would raise."""
    detail, code, status = denied.detail, denied.code, denied.status
    if status == 429:
        return RateLimitError(detail, denied.retry_after, code=code, status=status)
    if status == 503:
        return ServiceUnavailableError(detail, denied.retry_after, code=code, status=status)
    kinds: dict[int, type[HokusaiAuthError]] = {
        400: InvalidRequestError,
        401: AuthenticationError,
        403: AuthorizationError,
    }
    return kinds.get(status, HokusaiAuthError)(detail, code=code, status=status)


def _stop_all() -> None:
    for verifier in list(_living):
        verifier.stop()


atexit.register(_stop_all)
