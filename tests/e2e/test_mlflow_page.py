"""The page on MLflow: what it says to type works, with MLflow started by `hokusai dev` too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARY, ROOT, Service, Start, run
from documents import blocks
from tracking import OWN, QUIET, STARTS_WITHIN_SECONDS, TrackingServer

PAGE = ROOT / "docs/mlflow.md"
PROGRAM = Path(sys.executable).parent / "mlflow"
REFUSAL = "Insufficient permissions for this operation: the key needs mlflow:write"


def typed(text: str, directory: Path, service: Service, *with_python: str) -> str:
    """Types what the page says, where the programs that it needs are at hand."""
    text = text.replace("http://127.0.0.1:4658", service.url).replace("http://127.0.0.1:4659", service.gateway_url)
    path = os.pathsep.join([str(BINARY.parent), str(PROGRAM.parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", "\n".join([text, *with_python])],
        cwd=directory,
        env=OWN | QUIET | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_a_server_that_is_there_gets_keys_as_the_page_says(
    start: Start, tracking: TrackingServer, tmp_path: Path
) -> None:
    settings = blocks(PAGE, "toml")[0].replace("http://127.0.0.1:5000", tracking.url)
    (tmp_path / "hokusai.toml").write_text(settings)
    service = start("dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--config", "hokusai.toml")
    _, key, read, refused = [block for block in blocks(PAGE, "bash") if "dev --mlflow" not in block]
    (tmp_path / "run.py").write_text(blocks(PAGE, "python")[0])
    shown = typed(key + "python run.py\n" + read + refused, tmp_path, service)
    assert "First experiment" in shown
    assert REFUSAL in shown and '"required_scope":"mlflow:write"' in shown.replace(" ", "")


def test_dev_starts_an_installed_server_and_ends_it(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conftest.PATIENCE_SECONDS", STARTS_WITHIN_SECONDS)
    service = start("dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", f"--mlflow={PROGRAM}")
    variables = service.wait_for(r"(export MLFLOW_TRACKING_URI=\S+\s+export MLFLOW_TRACKING_TOKEN=\S+)\n")
    assert "Default" in typed(variables + "\nmlflow experiments search", tmp_path, service)
    kept = {path.name for path in (tmp_path / ".hokusai-dev/mlflow").iterdir()}
    assert {"mlflow.db", "mlflow.log"} <= kept
    service.stop()
    log = (tmp_path / ".hokusai-dev/mlflow/mlflow.log").read_text()
    number = re.search(r"Started server process \[(\d+)\]", log)
    assert number and not Path(f"/proc/{number[1]}").exists(), log


def test_dev_says_how_to_install_one(tmp_path: Path) -> None:
    done = run("dev", "--dir", str(tmp_path / "dev"), "--mlflow=/nothing/mlflow")
    assert done.returncode == 1
    assert "/nothing/mlflow can't be started" in done.stderr
    assert "pip install mlflow==3.17.2" in done.stderr
