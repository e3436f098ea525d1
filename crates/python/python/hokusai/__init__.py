"""API keys of the Hokusai platform.

    from hokusai import HokusaiClient

    client = HokusaiClient(api_key="hk_test_…")
    models = client.list_models()

`hokusai.aio` has the same clients for asyncio, `hokusai.asgi` and `hokusai.fastapi` protect a service, and
`hokusai.mlflow` sets up the `mlflow` client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hokusai._asking import UNSET
from hokusai._client import HokusaiClient, ModelRegistry
from hokusai._native import __version__
from hokusai.auth import HokusaiAuth, configure, setup
from hokusai.errors import (
    AuthenticationError,
    AuthorizationError,
    ConfigurationError,
    ConflictError,
    HokusaiAuthError,
    HokusaiWarning,
    InvalidRequestError,
    MonthlyLimitError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from hokusai._admin import AuthAdmin
    from hokusai.models import Model, ModelVersion

__all__ = [
    "setup",
    "configure",
    "HokusaiAuth",
    "HokusaiClient",
    "ModelRegistry",
    "AuthAdmin",
    "Model",
    "ModelVersion",
    "HokusaiAuthError",
    "AuthenticationError",
    "AuthorizationError",
    "RateLimitError",
    "NotFoundError",
    "ConflictError",
    "InvalidRequestError",
    "MonthlyLimitError",
    "ServiceUnavailableError",
    "UnexpectedAnswerError",
    "ConfigurationError",
    "HokusaiWarning",
    "UNSET",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Who only uses keys need not wait for what manages them, nor for what describes answers.
    homes = {"AuthAdmin": "hokusai._admin", "Model": "hokusai.models", "ModelVersion": "hokusai.models"}
    if home := homes.get(name):
        from importlib import import_module

        globals()[name] = found = getattr(import_module(home), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
