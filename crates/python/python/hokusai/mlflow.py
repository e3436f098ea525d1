"""The `mlflow` client, set up in one call."""

from __future__ import annotations

import os
import sys

from hokusai import _native
from hokusai.auth import TIMEOUT, HokusaiAuth

__all__ = ["configure"]


def configure(
    api_key: str | None = None,
    api_endpoint: str | None = None,
    *,
    auth: HokusaiAuth | None = None,
    profile: str | None = None,
    allow_plain_http: bool = False,
) -> None:
    """Points the `mlflow` client of this process, and of those that it starts, at the gateway.

    It sets MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN. The key needs a scope for MLflow, such as
    `mlflow:access`.
    """
    auth = auth or HokusaiAuth(api_key, api_endpoint, profile=profile)
    endpoint = auth.api_endpoint
    # What can't be asked is told here. Only MLflow's client will ask.
    _native.Remote(endpoint, auth.api_key, TIMEOUT, allow_plain_http)
    os.environ["MLFLOW_TRACKING_URI"] = endpoint
    os.environ["MLFLOW_TRACKING_TOKEN"] = auth.api_key
    loaded = sys.modules.get("mlflow")
    if loaded is not None:
        # What was set before, by a call, goes before the variable.
        loaded.set_tracking_uri(endpoint)
