"""Breaks one rule after the other, and sees that somebody notices.

Each rule of the protocols has a line of code that keeps it. Here are changes to those lines, each of which
breaks one rule. All are put into one copy of the workspace, each behind a switch, so that the whole is
compiled once. Then one rule after the other is broken, and whoever has to notice is run: the simulator, or a
test that is named. A change that nobody notices is a failure, and so is one whose old text is gone.

    python3 tests/promises/broken.py [WORD …]     only changes whose names have all the words
    python3 tests/promises/broken.py --list       the changes and the rules that they break

`HOKUSAI_TEST_POSTGRES` has to name a PostgreSQL, as in `./test`; nothing is kept there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from changes import CHANGES, RULES, Change

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
COPY = TARGET / "broken-promises"
# Simulated days that may pass before a change is called unnoticed.
DAYS = "200"
# No version of the workspace.
ANOTHER = "0.0.0"
# A switch whose text was not found when it was thrown ends the process with this.
TEXT_IS_GONE = 77

SWITCH = """//! Which rule is broken.
use std::sync::LazyLock;
static CHOSEN: LazyLock<u32> =
    LazyLock::new(|| std::env::var("HOKUSAI_BROKEN").map_or(0, |rule| rule.parse().expect("a number")));
/// Whether it is this one.
pub fn rule(number: u32) -> bool {
    *CHOSEN == number
}
/// The text of a statement, with something else in the place of `old` if this rule is broken.
pub fn sql(number: u32, text: &'static str, old: &str, new: &str) -> &'static str {
    if !rule(number) {
        return text;
    }
    if !text.contains(old) {
        std::process::exit(TEXT_IS_GONE);
    }
    Box::leak(text.replace(old, new).into_boxed_str())
}
"""


@dataclass
class Programs:
    days: Path
    tests: dict[str, Path]


def copy_of_the_workspace() -> None:
    """Files that did not change keep their times, so that little is compiled again."""
    wanted: dict[Path, bytes] = {}
    for folder in ("bench", "crates"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "target" not in path.relative_to(ROOT).parts:
                wanted[path.relative_to(ROOT)] = path.read_bytes()
    for name in ("Cargo.lock", "Cargo.toml", "rust-toolchain.toml", "clippy.toml"):
        if (ROOT / name).is_file():
            wanted[Path(name)] = (ROOT / name).read_bytes()
    give_another_version(wanted)
    put_switches_in(wanted)
    for path in [path for path in COPY.rglob("*") if path.is_file()]:
        if path.relative_to(COPY) not in wanted:
            path.unlink()
    for name, content in wanted.items():
        file = COPY / name
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def give_another_version(files: dict[Path, bytes]) -> None:
    """So that cargo never takes a crate of the copy for one of the workspace: they share a target directory."""
    manifest, lock = Path("Cargo.toml"), Path("Cargo.lock")
    text = files[manifest].decode()
    version = re.search(r'(?<=\[workspace\.package\]\nversion = )"[^"]+"', text)
    if not version:
        sys.exit("Cargo.toml has no version of the workspace")
    files[manifest] = text.replace(f"version = {version[0]}", f'version = "{ANOTHER}"', 1).encode()
    ours = re.compile(rf'(name = "hokusai-[^"]+"\nversion = ){re.escape(version[0])}')
    files[lock] = ours.sub(rf'\g<1>"{ANOTHER}"', files[lock].decode()).encode()


def put_switches_in(files: dict[Path, bytes]) -> None:
    by_place: dict[tuple[Path, str], list[tuple[int, Change]]] = defaultdict(list)
    for number, change in enumerate(CHANGES, 1):
        by_place[Path(change.file), change.old].append((number, change))
    spans: dict[Path, list[tuple[int, int, str]]] = defaultdict(list)
    for (file, old), changes in by_place.items():
        what = changes[0][1].what
        if file not in files:
            sys.exit(f"{what}: there is no {file}")
        # However the text is broken into lines.
        pattern = r"\s*".join(re.escape(part) for part in old.split())
        found = list(re.finditer(pattern, files[file].decode()))
        if len(found) != 1:
            sys.exit(f"{what}: {file} has this text {len(found)} times:\n{old}")
        spans[file].append((*found[0].span(), switched(file, found[0].group(), changes)))
    for file, places in spans.items():
        text = files[file].decode()
        places.sort(reverse=True)
        for (start, _, _), (_, before, _) in zip(places, places[1:]):
            if before > start:
                sys.exit(f"{file}: two changes are of the same text:\n{text[start:before]}")
        for start, end, new in places:
            text = text[:start] + new + text[end:]
        files[file] = text.encode()
    library = Path("crates/core/src/lib.rs")
    files[library] += b"\npub mod broken;\n"
    files[library.with_name("broken.rs")] = SWITCH.replace("TEXT_IS_GONE", str(TEXT_IS_GONE)).encode()


def switched(file: Path, old: str, changes: list[tuple[int, Change]]) -> str:
    """Rust that does as before, or, where a rule is broken, something else."""
    module = "crate::broken" if file.parts[1] == "core" else "hokusai_core::broken"
    text = old
    for number, change in changes:
        is_broken, edit = f"{module}::rule({number})", f"{module}::sql({number}, "
        if "BROKEN" in change.new or "EDIT(" in change.new:
            if len(changes) > 1:
                sys.exit(f"{change.what}: shares its text with another")
            return change.new.replace("BROKEN", is_broken).replace("EDIT(", edit)
        text = f"if {is_broken} {{ {change.new} }} else {{ {text} }}"
    return text if old.endswith(";") else f"({text})"


def build() -> Programs:
    quiet = ["--locked", "--quiet", "--message-format=json"]
    # With the features that everything has together, so that other people's crates are not compiled again.
    common = [*quiet, "--workspace"]
    tests = sorted({change.by.split(" ")[0] for change in CHANGES} - {"sim", "core"})
    chosen = [argument for test in tests for argument in ("--test", test)]
    unit_tests = executables(["cargo", "test", "--no-run", *quiet, "--package", "hokusai-core", "--lib"])
    # Its name says nothing of the switches: somebody who builds the workspace meanwhile would replace it.
    days = TARGET / "broken-days"
    shutil.copy2(executables(["cargo", "build", *common, "--example", "days"])["days"], days)
    return Programs(
        days,
        executables(["cargo", "test", "--no-run", *common, *chosen]) | {"core": unit_tests["hokusai_core"]},
    )


def executables(command: list[str]) -> dict[str, Path]:
    env = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    built = subprocess.run(command, cwd=COPY, env=env, capture_output=True, text=True)
    if built.returncode != 0:
        sys.exit(f"with the switches in, this does not compile:\n{built.stderr}\n{errors(built.stdout)}")
    found = {}
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            found[message["target"]["name"]] = Path(message["executable"])
    return found


def errors(messages: str) -> str:
    said = (json.loads(line).get("message") for line in messages.splitlines())
    return "\n".join(one["rendered"] for one in said if isinstance(one, dict) and one.get("level") == "error")


def run(programs: Programs, change: Change, number: int, days: str) -> tuple[bool, str]:
    """Whether all is well, and what was said."""
    kind, _, test = change.by.partition(" ")
    env = {**os.environ, "HOKUSAI_BROKEN": str(number)}
    if kind == "sim":
        command = [programs.days, "0", days]
    else:
        command = [programs.tests[kind], "--exact", test]
    try:
        ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        sys.exit(f"{change.what}: {change.by} does not come to an end")
    if ended.returncode == TEXT_IS_GONE:
        sys.exit(f"{change.what}: the statement does not have the text any longer")
    if kind != "sim" and "running 1 test" not in ended.stdout:
        sys.exit(f"{change.what}: there is no test {test}")
    if kind == "sim":
        return ended.returncode == 0, ended.stdout.strip() or "it panics: " + ended.stderr.strip()[:200]
    return ended.returncode == 0, change.by


def main() -> None:
    if sys.argv[1:] == ["--list"]:
        for rule in RULES:
            print(rule)
            for change in CHANGES:
                if change.rule == rule:
                    print(f"    {change.what}: {change.by}")
        return
    for rule in RULES:
        if not any(change.rule == rule for change in CHANGES):
            sys.exit(f"nothing breaks this rule: {rule}")
    chosen = [(number, change) for number, change in enumerate(CHANGES, 1)
              if all(word in change.what for word in sys.argv[1:])]
    copy_of_the_workspace()
    programs = build()
    for whoever in {change.by: change for _, change in chosen}.values():
        is_well, said = run(programs, whoever, 0, "10")
        if not is_well:
            sys.exit(f"with no rule broken: {said}")
    unnoticed = []
    for number, change in chosen:
        began = time.monotonic()
        is_well, said = run(programs, change, number, DAYS)
        if is_well:
            unnoticed.append(change.what)
        print(f"{change.what}: {'NOT NOTICED' if is_well else said} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} broken rules were noticed")
    if unnoticed:
        sys.exit(1)


if __name__ == "__main__":
    main()
