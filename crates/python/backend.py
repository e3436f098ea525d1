"""Builds the wheel: the native module by maturin, and beside it the program `hokusai`.

`pip wheel crates/python` needs no more than this. The cargo profile is `release` unless `-C profile=NAME` says
otherwise.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import maturin

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "hokusai.data/scripts"


def _program(profile: str) -> Path:
    command = ["cargo", "build", "--locked", "-p", "hokusai-cli", "--profile", profile]
    command += ["--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, check=True, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    programs = [message["executable"] for message in messages if message.get("executable")]
    return Path(programs[-1])


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the wheel into the directory, and says what it is called."""
    profile = str((config_settings or {}).get("profile", "release"))
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    program = shutil.copy2(_program(profile), SCRIPTS / "hokusai")
    # What a debugger would want is larger than all the rest.
    subprocess.run(["strip", "--strip-debug", program], check=True)
    try:
        settings = {"build-args": f"--profile {profile}"}
        return str(maturin.build_wheel(wheel_directory, settings, metadata_directory))
    finally:
        shutil.rmtree(SCRIPTS.parent)


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: dict[str, Any] | None = None
) -> str:
    """Writes down what the wheel is called and needs, without building it."""
    # What is named in pyproject.toml has to be there.
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return str(maturin.prepare_metadata_for_build_wheel(metadata_directory, None))


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Says what a build needs besides."""
    return []
