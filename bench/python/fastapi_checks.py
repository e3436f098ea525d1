"""How many requests a second FastAPI answers: with no check of keys, with ours, and with a call for each.

    python bench/python/fastapi_checks.py

It needs `wrk`, and the wheel, fastapi, uvicorn[standard] and requests in one environment, and a machine with nothing
else to do. One process serves, pinned to one processor; the load, the service and its database share the others.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from hokusai import AuthAdmin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from wrk import free_port, load

# What each application has before its routes, and what its routes take.
APPS = {
    "no check": ("", ""),
    # What FastAPI itself takes for any dependency.
    "a dependency that does nothing": (
        """
async def nothing_at_all() -> None:
    return None
""",
        "nothing: None = Depends(nothing_at_all)",
    ),
    "require_api_key": (
        """
from hokusai.asgi import ReportUsage
from hokusai.fastapi import require_api_key
from hokusai.verifier import Admitted

app.add_middleware(ReportUsage)
may_predict = require_api_key(scope="predict", service_id="prediction")
""",
        "key: Admitted = Depends(may_predict)",
    ),
    "require_api_key, no reports": (
        """
from hokusai.fastapi import require_api_key
from hokusai.verifier import Admitted, Verifier

may_predict = require_api_key(scope="predict", service_id="prediction", verifier=Verifier(report_usage=False))
""",
        "key: Admitted = Depends(may_predict)",
    ),
    "requests, a call for each": (
        """
import os
import requests
from fastapi import Header, HTTPException

URL = os.environ["HOKUSAI_AUTH_SERVICE_URL"] + "/api/v1/keys/validate"
session = requests.Session()

def check(authorization: str = Header()):
    body = {"service_id": "prediction", "required_scope": "predict"}
    answer = session.post(URL, headers={"Authorization": authorization}, json=body, timeout=5)
    if answer.status_code != 200:
        raise HTTPException(answer.status_code, answer.json()["detail"])
    return answer.json()
""",
        "key: dict = Depends(check)",
    ),
}
HEAD = """
from fastapi import Depends, FastAPI
from pydantic import BaseModel

app = FastAPI()
"""
ROUTES = """
class Features(BaseModel):
    customer: str
    values: list[float]

class Prediction(BaseModel):
    model: str
    score: float

@app.post("/predict")
async def predict(features: Features, {parameter}) -> Prediction:
    return Prediction(model="churn", score=sum(features.values) / len(features.values))

@app.get("/nothing")
async def nothing({parameter}):
    return None
"""
# What is asked: a small prediction, and what does nothing at all.
QUESTIONS = {
    "a prediction": ("POST", "/predict", '{"customer": "c-17", "values": [0.1, 0.7, 12, 3.5, 0, 1, 8.25, 40]}'),
    "nothing": ("GET", "/nothing", ""),
}
CONNECTIONS = 16


# wrk asks with one key after the other.
ASKING = """
local keys, next = {{ {keys} }}, 0
function request()
    next = next % #keys + 1
    local headers = {{ ["Authorization"] = "Bearer " .. keys[next], ["Content-Type"] = "application/json" }}
    return wrk.format("{method}", "{path}", headers, [[{body}]])
end
"""


def wait_for(port: int) -> None:
    """Until somebody answers."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def start_service(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The service, by the program of the wheel."""
    program = shutil.which("hokusai", path=str(Path(sys.executable).parent)) or "hokusai"
    port = free_port()
    command = [program, "dev", "--listen", f"127.0.0.1:{port}", "--gateway-listen", "127.0.0.1:0"]
    with (directory / "log").open("wb") as log:
        service = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    wait_for(port)
    url = f"http://127.0.0.1:{port}"
    with urllib.request.urlopen(f"{url}/ready", timeout=10):
        return service, url


def measure(questions: list[str], seconds: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Serves all of them at once, and loads one after the other, in turns."""
    started: list[subprocess.Popen[bytes]] = []
    found: dict[str, dict[str, list[float]]] = {what: {name: [] for name in APPS} for what in questions}
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        # The service and the load leave the first processor to who serves.
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)))
        try:
            service, url = start_service(directory)
            started.append(service)
            token = (directory / ".hokusai-dev/admin-token").read_text().strip()
            admin = AuthAdmin(token, url)
            keys = [
                admin.create_key(
                    f"key {n}", service_id="prediction", scopes=["predict"], rate_limit_per_hour=100_000
                ).api_key
                for n in range(20)
            ]
            quoted = ", ".join(f'"{key}"' for key in keys)
            scripts = {}
            for number, what in enumerate(questions):
                method, path, body = QUESTIONS[what]
                scripts[what] = directory / f"asking{number}.lua"
                scripts[what].write_text(ASKING.format(keys=quoted, method=method, path=path, body=body))
            own = {**os.environ, "HOKUSAI_AUTH_SERVICE_URL": url}
            own["HOKUSAI_SERVICE_TOKEN"] = (directory / ".hokusai-dev/service-token").read_text().strip()
            ports = {}
            for number, (name, (before, parameter)) in enumerate(APPS.items()):
                text = HEAD + before + ROUTES.format(parameter=parameter)
                (directory / f"app{number}.py").write_text(text)
                ports[name] = free_port()
                words = ["uvicorn", f"app{number}:app", "--port", str(ports[name]), "--no-access-log"]
                command = ["taskset", "-c", "0", sys.executable, "-m", *words, "--log-level", "warning"]
                started.append(subprocess.Popen(command, cwd=directory, env=own))
            for name in APPS:
                wait_for(ports[name])
            for what, script in scripts.items():
                for name in APPS:
                    load(ports[name], script, 1, CONNECTIONS)
                for _ in range(rounds):
                    # What one left to do in the background is not always the same other's to bear.
                    for name in random.sample(list(APPS), len(APPS)):
                        found[what][name].append(load(ports[name], script, seconds, CONNECTIONS)[1])
        finally:
            for process in reversed(started):
                process.send_signal(signal.SIGTERM)
                process.wait(30)
    return found


def main() -> None:
    """Measures, and prints a table."""
    arguments = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--only", choices=QUESTIONS, help="what is asked")
    told = arguments.parse_args()
    questions = [told.only] if told.only else list(QUESTIONS)
    for what, rates_of in measure(questions, told.seconds, told.rounds).items():
        print(what)
        for name, rates in rates_of.items():
            shares = [rate / bare for rate, bare in zip(rates, rates_of["no check"], strict=True)]
            print(
                f"  {name:30} {statistics.median(rates):6.0f} a second ({min(rates):.0f} to {max(rates):.0f}),"
                f" {statistics.median(shares):.3f} of no check"
            )


if __name__ == "__main__":
    main()
