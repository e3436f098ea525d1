"""What type checkers and linters say of the front, of its stubs and of the pages' examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from documents import blocks

PACKAGE = ROOT / "crates/python"
PAGES = [ROOT / "docs" / name for name in ("python.md", "python-keys.md", "python-services.md")]
TOOLS = Path(sys.executable).parent


def passes(*command: str | Path, directory: Path = PACKAGE) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_front_is_tidy() -> None:
    passes(TOOLS / "ruff", "check", "--no-cache")
    passes(TOOLS / "ruff", "format", "--no-cache", "--check")


def test_the_waiting_clients_are_made_from_the_others() -> None:
    passes(sys.executable, "unasync.py", "--check")


def test_mypy_finds_nothing_in_the_front(tmp_path: Path) -> None:
    passes(TOOLS / "mypy", "--strict", "--cache-dir", tmp_path, "python/hokusai")


def test_pyright_finds_nothing_in_the_front() -> None:
    passes(TOOLS / "pyright", "--pythonpath", sys.executable)


def test_the_stubs_say_what_the_module_has(tmp_path: Path) -> None:
    passes(TOOLS / "stubtest", "hokusai._native", directory=tmp_path)


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_examples_have_right_types(tmp_path: Path, checker: str) -> None:
    for number, block in enumerate(block for page in PAGES for block in blocks(page, "python")):
        (tmp_path / f"example_{number}.py").write_text(block)
    if checker == "mypy":
        passes(TOOLS / "mypy", "--strict", "--cache-dir", tmp_path / "cache", tmp_path, directory=tmp_path)
    else:
        passes(TOOLS / "pyright", "--pythonpath", sys.executable, tmp_path, directory=tmp_path)


def test_a_wrong_argument_is_found_by_a_type_checker(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("from hokusai import HokusaiClient\nHokusaiClient(api_key=b'x')\n")
    command = [TOOLS / "mypy", "--strict", "--cache-dir", tmp_path / "cache", "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'expected "str | None"' in done.stdout
