"""ASGI: requests without a good key are answered before the application sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hokusai._native import without_keys
from hokusai.verifier import OUTCOMES, Demand, Denied, Verifier, default, stop_default

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["HokusaiMiddleware", "ReportUsage"]

ADMITTED = "hokusai.admitted"
REQUESTS = frozenset(("http", "websocket"))
ANSWERS = frozenset(("http.response.start", "websocket.http.response.start", "websocket.accept"))
SWITCHED = 101


class HokusaiMiddleware:
    """Lets requests with a good key through, without the key, and answers the others.

    What lies behind finds who asks in `scope["hokusai.admitted"]`. `service_id` and `scope` are what a key must
    be good for; `open_paths` are paths that need none, such as a health check. `endpoint` names a request in
    reports of usage; unless given, the path of its route does.

    A verifier that is not given is made from the environment, and stopped with the application.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier | None = None,
        *,
        service_id: str | None = None,
        scope: str | None = None,
        open_paths: Iterable[str] = (),
        endpoint: Callable[[Scope], str] | None = None,
    ) -> None:
        self._app = app
        self._reporting = ReportUsage(app, endpoint=endpoint)
        self._verifier = verifier
        if verifier is None:
            # What is wrong with the environment shows here and not at the first request.
            default()
        self._demand = Demand(service_id, scope)
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._app(scope, receive, _stopping(send) if self._verifier is None else send)
        elif kind not in REQUESTS or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
        else:
            verifier = self._verifier or default()
            outcome = verifier.check(scope["headers"], address_of(scope), self._demand)
            if not isinstance(outcome, OUTCOMES):
                outcome = await outcome
            if isinstance(outcome, Denied):
                await _answer(outcome, scope, receive, send)
            else:
                within = {**scope, "headers": without_keys(scope["headers"]), ADMITTED: outcome}
                await self._reporting(within, receive, send)


class ReportUsage:
    """Reports what `hokusai.fastapi.require_api_key` let through, once it is answered.

    The verifier that was made from the environment is stopped with the application.
    """

    def __init__(self, app: App, *, endpoint: Callable[[Scope], str] | None = None) -> None:
        self._app = app
        self._endpoint = endpoint or endpoint_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. One that is never answered counts as 499."""
        kind = scope["type"]
        if kind not in REQUESTS:
            await self._app(scope, receive, _stopping(send) if kind == "lifespan" else send)
            return

        def passing(message: Message) -> Awaitable[None]:
            if message["type"] in ANSWERS and ADMITTED in scope:
                scope[ADMITTED].report(self._endpoint(scope), message.get("status", SWITCHED))
            return send(message)

        try:
            await self._app(scope, receive, passing)
        except Exception:
            self._report_unanswered(scope, 500)
            raise
        finally:
            self._report_unanswered(scope, 499)

    def _report_unanswered(self, scope: Scope, status: int) -> None:
        if ADMITTED in scope and not scope[ADMITTED].is_reported:
            scope[ADMITTED].report(self._endpoint(scope), status)


def address_of(scope: Scope) -> str | None:
    """Where a request comes from, as the server sees it."""
    client = scope.get("client")
    return client[0] if client else None


def endpoint_of(scope: Scope) -> str:
    """The path of the route that served a request. The path itself could be anything, and of any length."""
    return str(getattr(scope.get("route"), "path", "unknown"))


def _stopping(send: Send) -> Send:
    async def passing(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            await stop_default()
        await send(message)

    return passing


async def _answer(denied: Denied, scope: Scope, receive: Receive, send: Send) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # The server answers the handshake with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": denied.detail[:100]})
            return
        kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": denied.status, "headers": denied.headers})
    await send({"type": f"{kind}.body", "body": denied.body})
