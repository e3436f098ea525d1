"""FastAPI: a dependency that needs a good key. FastAPI itself has to be installed."""

# Annotations are read by FastAPI: they have to be there at run time.
from typing import Any

from fastapi import HTTPException, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.responses import Response
from fastapi.security.base import SecurityBase

from hokusai.asgi import ADMITTED, address_of
from hokusai.verifier import OUTCOMES, Admitted, Demand, Denied, Verifier, default

__all__ = ["KeyRefusedError", "RequireApiKey", "answer_refused", "require_api_key"]


class KeyRefusedError(HTTPException):
    """A request that may not pass: `detail` is answered, with the right status and headers.

    `denied` has the rest. An application that wants to answer all of it, with the code, registers
    `answer_refused` for this exception.
    """

    def __init__(self, denied: Denied) -> None:
        headers = {name.decode(): value.decode() for name, value in denied.headers}
        told = {name: value for name, value in headers.items() if not name.startswith("content-")}
        super().__init__(denied.status, denied.detail, told)
        self.denied = denied


class RequireApiKey(SecurityBase):
    """What `require_api_key` makes."""

    def __init__(self, verifier: Verifier | None, demand: Demand) -> None:
        self.model = HTTPBearer(description="An API key.")
        self.scheme_name = "Hokusai API key"
        self._verifier, self._demand = verifier, demand

    async def __call__(self, request: Request) -> Admitted:
        """Lets a request pass, or raises KeyRefusedError."""
        verifier = self._verifier or default()
        scope = request.scope
        outcome = verifier.check(scope["headers"], address_of(scope), self._demand)
        if not isinstance(outcome, OUTCOMES):
            outcome = await outcome
        if isinstance(outcome, Denied):
            raise KeyRefusedError(outcome)
        scope[ADMITTED] = outcome
        return outcome


def require_api_key(
    scope: str | None = None, *, service_id: str | None = None, verifier: Verifier | None = None
) -> RequireApiKey:
    """Makes a dependency that needs a key with this scope, of this service; its value says who asks.

    A verifier that is not given is made from the environment at the first request, one for all dependencies.
    """
    return RequireApiKey(verifier, Demand(service_id, scope))


async def answer_refused(request: Request, refused: Any) -> Response:
    """The whole answer to a request that may not pass, as the gateway gives it."""
    denied: Denied = refused.denied
    headers = {name.decode(): value.decode() for name, value in denied.headers}
    return Response(denied.body, denied.status, headers)
