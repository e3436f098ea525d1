"""The load by which a release is laid out is answered, from end to end."""

from __future__ import annotations

import re
import subprocess
import sys

from conftest import BINARY, ROOT

ASKED = re.compile(r"^(the service|https? (?:GET|POST \d+ KiB)) \((\d+), ", re.MULTILINE)
SHAPES = ["GET", "POST 2 KiB", "POST 16 KiB", "POST 128 KiB"]


def test_what_a_release_is_trained_by_is_answered() -> None:
    training = [sys.executable, ROOT / "bench/training.py", "--program", BINARY, "--seconds", "1"]
    done = subprocess.run(training, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answered = {name: int(count) for name, count in ASKED.findall(done.stdout)}
    loads = ["the service", *(f"{scheme} {shape}" for scheme in ("http", "https") for shape in SHAPES)]
    assert list(answered) == loads, done.stdout
    assert all(answered.values()), answered
