"""Breaks one rule after the other, and sees that the simulator notices.

Each change is made to a copy of the rules and the simulator. A change whose old text is gone, or that does
not compile, is an error; one that two hundred simulated days do not notice is a failure.

    python3 tests/promises/broken.py [WORD …]     only changes whose names have all the words
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = "200"

ALLOTMENT = "crates/core/src/allotment.rs"
ACCOUNT = "crates/core/src/account.rs"
DEBT = "crates/core/src/debt.rs"
VERIFIER = "crates/core/src/verifier.rs"
ANSWERS = "crates/core/src/verifier/answers.rs"
HOLDING = "crates/core/src/verifier/holding.rs"
NODE = "crates/sim/src/node.rs"
STORE = "crates/sim/src/store.rs"
ADMIN = "crates/sim/src/admin.rs"
MISHAPS = "crates/sim/src/mishaps.rs"

# What is broken, where, and the text that stands for which.
CHANGES = [
    ("spending past what a message under way may leave", ALLOTMENT,
     ".map_or(self.allotted, |asked| self.allotted.min(asked.ask.used.saturating_add(asked.ask.want)))",
     ".map_or(self.allotted, |_| self.allotted)"),
    ("spending what was asked for before it is allotted", ALLOTMENT,
     ".map_or(self.allotted, |asked| self.allotted.min(asked.ask.used.saturating_add(asked.ask.want)))",
     ".map_or(self.allotted, |asked| asked.ask.used.saturating_add(asked.ask.want))"),
    ("taking the answer to any message", ALLOTMENT,
     "self.asked.filter(|asked| asked.ask.seq == answer.seq)", "self.asked.filter(|_| answer.seq > 0)"),
    ("spending units after their hour", ALLOTMENT,
     "self.usable_until = self.hour_ends;", "self.usable_until = self.hour_ends.after(DRY);"),
    ("counting an hour's time from when the answer came", ALLOTMENT,
     "self.hour_ends = asked.sent.after(answer.expires_in);",
     "self.hour_ends = asked.sent.after(answer.expires_in + Duration::from_secs(8));"),
    ("using units from before a change", ALLOTMENT, "            asked.void = true;", "            asked.void = false;"),
    ("keeping units over a change", ALLOTMENT,
     "self.allotted = self.allotted.min(self.used);\n        (self.usable_until, self.dry_until) = (Elapsed(i64::MIN), Elapsed(i64::MIN));",
     "self.dry_until = Elapsed(i64::MIN);"),
    ("forgetting an account whose last message was lost", ALLOTMENT,
     "!self.unsure && self.unspent() == 0 && self.used == self.reported", "self.unspent() == 0"),
    ("never giving idle units back", ALLOTMENT,
     "self.is_idle(now) && self.asked.is_none() && !self.is_settled()", "false && self.is_idle(now)"),
    ("saying that nothing is left before others could give back", ACCOUNT,
     "answer.reclaimable && now.since(since) < PATIENCE", "answer.reclaimable && now.since(since) > PATIENCE"),
    ("keeping an entry a second too long", ANSWERS,
     "usable_until: times.sent.after(valid_for),",
     "usable_until: times.sent.after(valid_for + Duration::from_secs(1)),"),
    ("counting an entry's time from when the answer came", ANSWERS,
     "usable_until: times.sent.after(valid_for),", "usable_until: times.now.after(valid_for),"),
    ("believing an answer that a change has overtaken", ANSWERS,
     "let stands = feed.follower.vouches_for(key.id, position)",
     "let stands = feed.follower.position().is_some() || feed.follower.vouches_for(key.id, position)"),
    ("acknowledging a change without applying it", ANSWERS,
     "if self.holdings.of(account).change(key, account, change.revision, now) {",
     "if change.revision % 3 > 0 && self.holdings.of(account).change(key, account, change.revision, now) {"),
    ("keeping everything when the feed begins anew", ANSWERS,
     "feed.generation += 1;\n                for mut shard in self.holdings.each() {\n                    let in_line = shard.change_all(feed.generation);\n                    self.holdings.put_all_in_line(in_line);\n                }\n                self.known.forget_all();",
     "feed.generation += 1;"),
    ("taking first units of an account that is known", ANSWERS,
     "let is_first = shard.get(account).is_none() && !shard.may_be_overtaken(look_up.seq);",
     "let is_first = true;"),
    ("lending more than the limit", VERIFIER,
     "hour.ran_dry || remaining == 0", "hour.ran_dry"),
    ("lending where nothing was left", VERIFIER,
     "hour.ran_dry || remaining == 0", "remaining == 0"),
    ("calling a lost answer an outage", VERIFIER,
     "Duration::from_secs(5);\n\n/// What to do with a good key", "Duration::from_secs(1);\n\n/// What to do with a good key"),
    ("settling what was not told", DEBT,
     "owed.settled = owed.settled.max(debt.units.min(owed.units));", "owed.settled = owed.units;"),
    ("counting a debt again each time it is settled", STORE,
     "*owed = debt.units.max(*owed);", "*owed += debt.units;"),
    ("handing out more than the limit", STORE,
     "others.allotted += row.allotted;", "others.allotted += row.used;"),
    ("answering a message that was overtaken", STORE,
     "if ask.seq <= known.seq {\n            return None;\n        }", ""),
    ("handing out first units where there were some", STORE,
     "if self.rows.get(&(self.latest_hour, account)).is_some_and(|rows| rows.contains_key(&holder)) {",
     "if false {"),
    ("vouching to whom nobody would wait for", NODE,
     "first_units(world, index, holder, key, position, seq, Duration::ZERO, then)",
     "first_units(world, index, holder, key, position, seq, VALID_FOR, then)"),
    ("telling a newer place in the feed than was read", NODE,
     "Told::Good { key, limit, valid_for, position, allotment }",
     "Told::Good { key, limit, valid_for, position: world.store.position(), allotment }"),
    ("vouching past a key's end", NODE,
     "let valid_for = valid_for.min(Duration::from_micros(left));", "let _ = left;"),
    ("saying that a change is known before all know it", STORE,
     "known.revision < revision", "known.revision + 1 < revision"),
    ("leaving the register too soon", MISHAPS,
     "const VERIFIER_KEPT: i64 = 320 * SECOND;", "const VERIFIER_KEPT: i64 = 20 * SECOND;"),
    ("a new account after a rotation", ADMIN,
     "successor.account = key.account;", "successor.account = successor.id.into();"),
]


def copy_of_the_rules(folder: Path) -> None:
    for name in ("core", "sim"):
        shutil.copytree(ROOT / "crates" / name, folder / "crates" / name)
    for name in ("Cargo.lock", "rust-toolchain.toml"):
        shutil.copy(ROOT / name, folder / name)
    manifest = (ROOT / "Cargo.toml").read_text()
    manifest = manifest.replace('members = ["bench", "crates/*"]\ndefault-members = ["crates/cli"]',
                                'members = ["crates/*"]')
    (folder / "Cargo.toml").write_text(manifest)


def build(folder: Path, target: Path) -> Path:
    command = ["cargo", "build", "--quiet", "--release", "-p", "hokusai-sim", "--example", "days"]
    built = subprocess.run(command, cwd=folder, env={**os.environ, "CARGO_TARGET_DIR": str(target)},
                           capture_output=True, text=True)
    if built.returncode != 0:
        sys.exit(f"this does not compile:\n{built.stderr}")
    return target / "release" / "examples" / "days"


def main() -> None:
    words = sys.argv[1:]
    chosen = [change for change in CHANGES if all(word in change[0] for word in words)]
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "broken-promises"
    unnoticed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_rules(folder)
        for what, path, old, new in chosen:
            file = folder / path
            whole = file.read_text()
            if whole.count(old) != 1:
                sys.exit(f"{what}: {path} has the text {whole.count(old)} times:\n{old}")
            file.write_text(whole.replace(old, new))
            run = subprocess.run([build(folder, target), "0", RUNS], capture_output=True, text=True)
            file.write_text(whole)
            if run.returncode == 0:
                unnoticed.append(what)
            noticed = "NOT NOTICED" if run.returncode == 0 else (run.stdout.strip() or "it panics: " + run.stderr.strip()[:200])
            print(f"{what}: {noticed}", flush=True)
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} broken rules were noticed")
    if unnoticed:
        sys.exit(1)


if __name__ == "__main__":
    main()
