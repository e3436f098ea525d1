"""Measures what the gateway costs in front of MLflow: MLflow alone, with its own basic authentication, and behind
`hokusai dev`, in one run. Needs `hokusai` built with --release, and the Python of the end-to-end tests:

    target/test-venv/bin/python bench/mlflow.py target/release/hokusai
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/e2e"))
from tracking import OWN, Server, TrackingServer, free_port

SECONDS, THREADS = 5, 4
# Calls of one client, one after the other; with basic authentication, each takes long.
ONE_BY_ONE, OF_BASIC_AUTH = 300, 30
CALLS = {
    "get": ("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", None),
    "search": ("POST", "/api/2.0/mlflow/runs/search", {"experiment_ids": ["0"], "max_results": 10}),
}


def basic_auth(directory: Path) -> Server:
    settings = directory / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\nadmin_password = password1234567\n"
        f"database_uri = sqlite:///{directory}/auth.db\nauthorization_function = "
        "mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return Server(
        directory,
        *("mlflow", "server", "--app-name", "basic-auth", "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{directory}/mlflow.db"),
        healthy="/health",
        MLFLOW_AUTH_CONFIG_PATH=str(settings),
        MLFLOW_FLASK_SERVER_SECRET_KEY="of this measurement",
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    )


def wait_for(url: str) -> None:
    for _ in range(1200):
        try:
            if requests.get(f"{url}/health", timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not come up")


@contextmanager
def gateway(program: str, mlflow: str, directory: Path) -> Iterator[tuple[str, str]]:
    (directory / "hokusai.toml").write_text(f'[gateway]\nmlflow_url = "{mlflow}"\n')
    service, own = (f"127.0.0.1:{free_port()}" for _ in range(2))
    arguments = ["dev", "--listen", service, "--gateway-listen", own, "--config", "hokusai.toml", "--log", "error"]
    process = subprocess.Popen([program, *arguments], cwd=directory, env=OWN, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://{own}")
        operator = (directory / ".hokusai-dev/admin-token").read_text().strip()
        wish = {"name": "bench", "scopes": ["mlflow:read"], "rate_limit_per_hour": 100_000}
        made = requests.post(
            f"http://{service}/api/v1/keys", json=wish, headers={"Authorization": f"Bearer {operator}"}, timeout=10
        )
        yield f"http://{own}", made.json()["api_key"]
    finally:
        process.terminate()
        process.wait()


def session_of(credential: dict) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers.update(credential.get("headers", {}))
    session.auth = credential.get("auth")
    return session


def ask(session: requests.Session, url: str, call: str) -> float:
    method, path, body = CALLS[call]
    began = time.perf_counter()
    answer = session.request(method, url + path, json=body, timeout=60)
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return took


def measure(url: str, credential: dict, call: str, one_by_one: int = ONE_BY_ONE) -> tuple[float, float]:
    """Calls per second of several clients, and the median of one client's calls in milliseconds."""
    session = session_of(credential)
    for _ in range(5):
        ask(session, url, call)
    median = statistics.median(ask(session, url, call) for _ in range(one_by_one))
    counts, ends = [0] * THREADS, time.monotonic() + SECONDS

    def work(number: int) -> None:
        own = session_of(credential)
        while time.monotonic() < ends:
            ask(own, url, call)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS, median * 1000


def main() -> None:
    results: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for part in ["alone", "basic", "dev"]:
            (root / part).mkdir()
        server = TrackingServer(root / "alone")
        try:
            with gateway(str(Path(sys.argv[1]).resolve()), server.url, root / "dev") as (url, key):
                for call in CALLS:
                    results[f"{call}: MLflow alone"] = measure(server.url, {}, call)
                    bearer = {"headers": {"Authorization": f"Bearer {key}"}}
                    results[f"{call}: behind the gateway"] = measure(url, bearer, call)
        finally:
            server.stop()
        server = basic_auth(root / "basic")
        try:
            for call in CALLS:
                credential = {"auth": ("admin", "password1234567")}
                results[f"{call}: with basic auth"] = measure(server.url, credential, call, OF_BASIC_AUTH)
        finally:
            server.stop()
    for what, (rate, median) in sorted(results.items()):
        print(f"{what:32} {rate:8.1f}/s  median {median:7.2f} ms")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
