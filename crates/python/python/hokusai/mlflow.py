"""The `mlflow` client, set up in one call."""

from __future__ import annotations

import os
import sys

from hokusai.auth import HokusaiAuth
from hokusai.errors import ConfigurationError

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
    if endpoint.startswith("http://") and not allow_plain_http and not _is_here(endpoint):
        raise ConfigurationError(
            f"{endpoint} is plain http, which anybody in between can read; use https, "
            "or allow_plain_http=True inside a network of your own",
            code="configuration",
        )
    os.environ["MLFLOW_TRACKING_URI"] = endpoint
    os.environ["MLFLOW_TRACKING_TOKEN"] = auth.api_key
    loaded = sys.modules.get("mlflow")
    if loaded is not None:
        # What was set before, by a call, goes before the variable.
        loaded.set_tracking_uri(endpoint)


def _is_here(url: str) -> bool:
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
