"""What the documentation names exists, and what exists is documented."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT, Start, run
from documents import blocks

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
CONFIGURATION = ROOT / "docs/configuration.md"
COMMAND = re.compile(r"^(?:\w+=\S+ )*(?:\S*/)?hokusai ((?:[a-z][a-z-]* ?)+)", re.MULTILINE)


@cache
def help_of(*command: str) -> str:
    done = run(*command, "--help")
    assert done.returncode == 0, f"hokusai {' '.join(command)}: {done.stderr}"
    return done.stdout


def settings_of(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_in_a_document_exist(document: Path) -> None:
    for block in blocks(document, "bash"):
        for words in COMMAND.findall(block):
            help_of(*words.split()[:1])


def test_the_readme_makes_a_first_key(start: Start, tmp_path: Path) -> None:
    dev = start("dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0")
    dev.wait_for(r"export HOKUSAI_API_KEY=(\S+)\n")
    first = "HOKUSAI_ADMIN_TOKEN=$(cat .hokusai-dev/admin-token)"
    _, *rest = "".join(blocks(ROOT / "README.md", "bash")).partition(first)
    second_shell = "".join(rest).partition("./test\n")[0].replace("http://127.0.0.1:4658", dev.url)
    second_shell = second_shell.replace("http://127.0.0.1:4659", dev.gateway_url)
    done = subprocess.run(
        ["bash", "-euc", second_shell], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    created, validated, models = (json.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines())
    assert created["key_info"]["name"] == "My First Key"
    assert (validated["is_valid"], validated["key_id"]) == (True, created["key_id"])
    assert models == {"models": [], "next_cursor": None}


COMMANDS = [
    "auth", "dev", "serve", "gateway", "migrate", "admin-token", "audit", "usage", "sim", "completions"
]


def test_help_lists_every_command() -> None:
    listed = help_of()
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", listed, re.MULTILINE), f"{command} is not listed"


def test_every_setting_has_a_flag_and_a_variable() -> None:
    flags = settings_of(help_of("serve")) - {"--help", "--version"}
    variables = set(re.findall(r"\[env: (HOKUSAI_\w+)", help_of("serve")))
    assert variables == {"HOKUSAI_" + flag.strip("-").replace("-", "_").upper() for flag in flags}


def test_the_settings_in_the_document_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| `(\S+)` \| `(\S+)` \|", CONFIGURATION.read_text(), re.MULTILINE)
    for name, flag, variable in rows:
        assert (flag, variable) == ("--" + name.replace("_", "-"), "HOKUSAI_" + name.upper())
    flags = settings_of(help_of("serve")) - {"--help", "--version", "--config"}
    assert {flag for _, flag, _ in rows} == flags
