"""The served OpenAPI document against the service that serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from conftest import Service, Start

TOKENS = "/api/v1/admin-tokens"
KEYS = "/api/v1/keys"
MAX_EXAMPLES = 50
MAX_SECONDS = 600
ATTEMPTS = 3
# One seed, so that a run says the same twice; another finds other requests.
SEED = os.environ.get("HOKUSAI_TEST_SEED", "4658")


def test_an_operator_meets_what_the_document_says(start: Start, tmp_path: Path) -> None:
    for attempt in range(ATTEMPTS):
        service = serve(start, tmp_path / f"{attempt}.db")
        wish = {"user_id": "tester", "name": "for the run", "role": "operator"}
        token = service.request("POST", TOKENS, json=wish).json()["token"]
        run_schemathesis(service, token, tmp_path)
        # The run may have revoked its own token; from then on it saw refusals alone, and counts for nothing.
        if service.request("GET", TOKENS, bearer=token).status_code == 200:
            return
    raise AssertionError(f"each of {ATTEMPTS} runs revoked its own token")


def test_a_member_meets_what_the_document_says(start: Start, tmp_path: Path) -> None:
    service = serve(start, tmp_path / "member.db")
    wish = {"user_id": "tester", "name": "for the run", "role": "member"}
    token = service.request("POST", TOKENS, json=wish).json()["token"]
    run_schemathesis(service, token, tmp_path)


def test_the_bearer_of_a_key_meets_what_the_document_says(start: Start, tmp_path: Path) -> None:
    service = serve(start, tmp_path / "key.db")
    wish = {"name": "for the run", "rate_limit_per_hour": 10}
    key = service.request("POST", KEYS, json=wish).json()["api_key"]
    run_schemathesis(service, key, tmp_path, "--include-operation-id", "validateKey")
    used = service.request("GET", KEYS, bearer=key).json()[0]["usage"]["requests_this_hour"]
    assert used > 0, "the run met no valid key"


def test_a_verifier_meets_what_the_document_says(start: Start, tmp_path: Path) -> None:
    service = serve(start, tmp_path / "verifier.db")
    wish = {"user_id": "gateway", "name": "for the run", "role": "verifier"}
    token = service.request("POST", TOKENS, json=wish).json()["token"]
    key = service.request("POST", KEYS, json={"name": "for the run"}).json()["api_key"]
    header = ("-H", f"X-Hokusai-Service-Token: {token}")
    models = ("listModels", "createModel", "getModel", "createModelVersion")
    asked = ("validateKey", "exchangeAllotments", "followChanges", *models)
    operations = (word for operation in asked for word in ("--include-operation-id", operation))
    run_schemathesis(service, key, tmp_path, *header, *operations)


def serve(start: Start, database: Path) -> Service:
    return start("serve", HOKUSAI_LOOKUPS_PER_SECOND="100000", HOKUSAI_DATABASE=f"sqlite://{database}")


def document(service: Service, credential: str, directory: Path) -> Path:
    """The document with what no schema can say: which key there is to report on, and which days are near."""
    wish = {"name": "for reports"}
    key = service.request("POST", KEYS, bearer=credential, json=wish).json().get("key_id")
    today = datetime.now(UTC).date().isoformat()
    told = service.request("GET", "/openapi.json").json()
    schemas = told["components"]["schemas"]
    if key:  # The bearer of a key can't make another, and is not asked about reports.
        schemas["UsageKeyId"]["enum"] = [key]
    # Clocks differ: three hours are allowed for.
    schemas["DebtSlip"]["properties"]["hour"]["maximum"] = int(datetime.now(UTC).timestamp()) // 3600 + 3
    schemas["UsageTime"]["pattern"] = f"^{today}T00:00:00Z$"
    schemas["Day"]["pattern"] = f"^{today}$"
    path = directory / "openapi.json"
    path.write_text(json.dumps(told))
    return path


def run_schemathesis(service: Service, credential: str, directory: Path, *more: str) -> None:
    """Holds the service to its document, as somebody with this credential."""
    settings = Path(__file__).with_name("schemathesis.toml").read_text()
    (directory / "schemathesis.toml").write_text(settings)
    program = Path(sys.executable).with_name("schemathesis")
    location = str(document(service, credential, directory))
    command = [str(program), "run", location, "--url", service.url, "-H", f"Authorization: Bearer {credential}"]
    done = subprocess.run(
        [*command, "--max-examples", str(MAX_EXAMPLES), "--seed", SEED, "--no-color", *more],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )
    print(done.stdout[done.stdout.find("= SUMMARY =") :])
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"level":"ERROR"' not in service.output
