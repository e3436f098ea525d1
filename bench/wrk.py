"""Loads a server of this machine with `wrk`."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def load(
    port: int, script: Path, seconds: int, connections: int, scheme: str = "http"
) -> tuple[int, float]:
    """How many requests were answered, and how many a second; all have to be answered well."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"{scheme}://127.0.0.1:{port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    requests, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec: +([0-9.]+)", said)
    assert requests and rate, said
    return int(requests[1]), float(rate[1])
