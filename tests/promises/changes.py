"""The rules of limits, revocation and outages, and the changes that break them.

A change says which rule it breaks and how, where the line is that keeps the rule, what stands there, what is
put there instead, and who has to notice: `sim`, or the name of a test binary and of a test in it. A text that ends with a semicolon is a statement; any other an expression. Where
neither will do, the new text says where the switch stands (`BROKEN`), or what is edited in a statement of SQL
(`EDIT(statement, old, new)`).
"""

from __future__ import annotations

from typing import NamedTuple

# What each of the promises rests on. Without any one of these, a simulated history broke a promise.
NEW_ID = "a holder's id is new with each process"
ONE_HOUR = "the store alone names the hour, and never an earlier one"
UNITS_END = "a unit is spent until the hour's end, counted from when it was asked for"
ONE_MESSAGE = "while a message is under way only what it leaves is spent, and only its own answer is taken"
STORE_DECIDES = "the store hands out no more than the limit, and a message counts once"
OWN_UNITS = "a verifier's units come from the store, never from a node's"
GIVEN_BACK = "units that nobody uses are given back"
NOT_LOST = "what a process was given and what it spent is not forgotten before the store knows of it"
HINTS = "hints are few"
PATIENCE = "before a 429 others are asked to give back"
CHANGED_LIMIT = "at a change all units are given back, and an answer from before it is not used"
NODES_TOO = "nodes acknowledge changes too"
NO_GAPS = "a follower that missed a change forgets everything"
REGISTERED_FIRST = "nothing may be remembered by who is not in the register"
KEPT_IN_REGISTER = "nobody leaves the register while an answer may still be used"
ONE_SNAPSHOT = "a row and its revision are of one instant"
OVERTAKEN = "an answer that a change has overtaken is thrown away"
APPLIED_FIRST = "what is acknowledged is applied"
BOUND = "an acknowledgement is bound to the holder and its token"
THEN_READ = "the time that is told is read after the last acknowledgement"
ENTRIES_END = "an entry ends in its time, counted from when it was asked for, and before its key"
OUTAGE = "in an outage every node was tried, and nothing was heard for five seconds"
LENT = "no process lends more than the limit, nor where nothing was left"
DEBT = "a debt is settled once, in its hour, apart from the units"
FAMILY = "a key and its successor share an account"

RULES = [value for name, value in list(globals().items()) if name.isupper() and isinstance(value, str)]

ALLOTMENT = "crates/core/src/allotment.rs"
ACCOUNT = "crates/core/src/account.rs"
DEBTS = "crates/core/src/debt.rs"
FEED = "crates/core/src/feed.rs"
VERIFIER = "crates/core/src/verifier.rs"
ANSWERS = "crates/core/src/verifier/answers.rs"
NODE = "crates/sim/src/node.rs"
STORE = "crates/sim/src/store.rs"
ADMIN = "crates/sim/src/admin.rs"
MISHAPS = "crates/sim/src/mishaps.rs"
PROCESS = "crates/sim/src/verifier.rs"
REAL_ALLOTMENTS = "crates/store/src/allotments.rs"
REAL_HOLDERS = "crates/store/src/holders.rs"
REAL_KEYS = "crates/store/src/keys.rs"
REAL_ENGINE = "crates/engine/src/verifiers.rs"


class Change(NamedTuple):
    rule: str
    what: str
    file: str
    old: str
    new: str
    by: str = "sim"


LEAVES = "self.allotted.min(asked.ask.used.saturating_add(asked.ask.want))"

CHANGES = [
    Change(NEW_ID, "keeping a process's id over its restart", PROCESS,
           "let new = Gate { reaches, ..new(world, life, journal) };",
           """let mut new = Gate { reaches, ..new(world, life, journal) };
           if BROKEN {
               new.holder = world.gates[gate].holder;
           }"""),
    Change(ONE_HOUR, "an hour that goes back with the clock", STORE,
           "self.latest_hour = self.latest_hour.max(now.hour());", "self.latest_hour = now.hour();"),
    Change(ONE_HOUR, "an hour that goes back with the clock, in SQL", REAL_ALLOTMENTS,
           "here::either(ALLOT_SQLITE, ALLOT_POSTGRES)",
           """EDIT(here::either(ALLOT_SQLITE, ALLOT_POSTGRES),
           "max($1 / 3600000000, (select hour from latest_hour))", "$1 / 3600000000")""",
           "store hours::sqlite::an_hour_never_goes_back_though_the_clock_does"),
    Change(UNITS_END, "spending units after their hour", ALLOTMENT,
           "self.usable_until = self.hour_ends;", "self.usable_until = self.hour_ends.after(DRY);"),
    Change(UNITS_END, "counting an hour's time from when the answer came", ALLOTMENT,
           "self.hour_ends = asked.sent.after(answer.expires_in);",
           "self.hour_ends = asked.sent.after(answer.expires_in + Duration::from_secs(4));"),
    Change(ONE_MESSAGE, "spending past what a message under way may leave", ALLOTMENT, LEAVES, "self.allotted"),
    Change(ONE_MESSAGE, "spending what was asked for before it is allotted", ALLOTMENT, LEAVES,
           "asked.ask.used.saturating_add(asked.ask.want)"),
    Change(ONE_MESSAGE, "taking the answer to any message", ALLOTMENT,
           "asked.ask.seq == answer.seq", "answer.seq > 0"),
    Change(STORE_DECIDES, "handing out more than the limit", STORE,
           "others.allotted += row.allotted;", "others.allotted += row.used;"),
    Change(STORE_DECIDES, "answering a message that was overtaken", STORE,
           "ask.seq <= known.seq", "ask.seq < 0"),
    Change(STORE_DECIDES, "handing out first units where there were some", STORE,
           "rows.contains_key(&holder)", "seq < 0"),
    Change(OWN_UNITS, "serving verifiers from a node's units", NODE,
           "world.store.allot(holder, &asks, now)", "world.store.allot(world.nodes[index].holder, &asks, now)"),
    Change(OWN_UNITS, "serving verifiers from a node's units, in the engine", REAL_ENGINE,
           "self.store.allot(verifier.holder, asks)", "self.store.allot(self.holder, asks)",
           "api verifiers::allotments::units_of_a_verifier_are_nobody_elses"),
    Change(GIVEN_BACK, "never giving idle units back", ALLOTMENT,
           "self.is_idle(now) && self.asked.is_none() && !self.is_settled()", "now < Elapsed(0)"),
    Change(NOT_LOST, "forgetting an account whose last message was lost", ALLOTMENT,
           "!self.unsure && self.unspent() == 0 && self.used == self.reported", "self.unspent() == 0"),
    Change(NOT_LOST, "taking first units of an account that is known", ANSWERS,
           "shard.get(account).is_none() && !shard.may_be_overtaken(look_up.seq)", "look_up.seq > 0",
           "core verifier::tests::units_that_come_with_a_key_are_not_taken_where_more_was_said_meanwhile"),
    Change(HINTS, "a hint with every message that is short", STORE,
           "*marked <= now.0 - SECOND / 4", "*marked <= now.0"),
    Change(PATIENCE, "saying that nothing is left before others could give back", ACCOUNT,
           "now.since(since) < PATIENCE", "now < since"),
    Change(CHANGED_LIMIT, "using units from before a change", ALLOTMENT, "asked.void = true;", ""),
    Change(CHANGED_LIMIT, "keeping units over a change", ALLOTMENT,
           """self.allotted = self.allotted.min(self.used);
           (self.usable_until, self.dry_until) = (Elapsed(i64::MIN), Elapsed(i64::MIN));""", ""),
    Change(NODES_TOO, "waiting for verifiers alone", ADMIN,
           "world.store.pending(revision).is_empty()",
           """world.store.pending(revision).iter().all(|holder| {
               BROKEN && world.nodes.iter().any(|node| node.holder == *holder)
           })"""),
    Change(NO_GAPS, "skipping a revision", FEED, "!complete", "head.revision < 0"),
    Change(NO_GAPS, "keeping everything when the feed begins anew", ANSWERS,
           "Step::ForgetAll => {", "Step::ForgetAll if BROKEN => {}\nStep::ForgetAll => {"),
    Change(REGISTERED_FIRST, "vouching to whom nobody would wait for", NODE,
           "Duration::ZERO", "VALID_FOR"),
    Change(REGISTERED_FIRST, "vouching to whom nobody would wait for, in the engine", REAL_ENGINE,
           "registered_for.map_or(Duration::ZERO,", "registered_for.map_or(if BROKEN { valid_for } else { Duration::ZERO },",
           "api verifiers::vouch::a_process_that_is_not_in_the_register_may_remember_nothing"),
    Change(KEPT_IN_REGISTER, "leaving the register too soon", MISHAPS,
           "{ VERIFIER_KEPT }", "{ if BROKEN { 20 * SECOND } else { VERIFIER_KEPT } }"),
    Change(ONE_SNAPSHOT, "a place in the feed that is read after the key", NODE,
           "let is_current = world.nodes[index].follower.vouches_for(key.id, read_at);",
           """let read_at = if BROKEN { world.store.position() } else { read_at };
           let is_current = world.nodes[index].follower.vouches_for(key.id, read_at);"""),
    Change(ONE_SNAPSHOT, "a place in the feed that is read after the key, in SQL", REAL_KEYS,
           """Ok(find.bind(format!("[{}]", digests.join(","))).fetch_all(db.read()).await?)""",
           """let mut rows: Vec<FoundRow> =
               find.bind(format!("[{}]", digests.join(","))).fetch_all(db.read()).await?;
           if BROKEN {
               let revision: i64 =
                   sqlx::query_scalar("select revision from authority").fetch_one(db.read()).await?;
               rows.iter_mut().for_each(|row| row.revision = revision);
           }
           Ok(rows)""",
           "store keys::sqlite::a_key_and_where_the_feed_stood_are_read_at_one_instant"),
    Change(OVERTAKEN, "believing an answer that a change has overtaken", ANSWERS,
           """feed.follower.vouches_for(key.id, position)
            && feed.follower.vouches_for_account(account, position)""", "true",
           "core verifier::tests::an_answer_that_a_change_has_overtaken_is_asked_for_again"),
    Change(OVERTAKEN, "telling a newer place in the feed than was read", NODE,
           "Told::Good { key, limit, valid_for, position, allotment });",
           """Told::Good {
               key, limit, valid_for, allotment,
               position: if BROKEN { world.store.position() } else { position },
           });"""),
    Change(APPLIED_FIRST, "acknowledging a change without applying it", ANSWERS,
           "self.holdings.of(account).change(key, account, change.revision, now)",
           "change.revision % 3 > 0 && self.holdings.of(account).change(key, account, change.revision, now)"),
    Change(APPLIED_FIRST, "taking a question from an unknown place for an acknowledgement", NODE,
           "known.is_some() || position.is_none()", "head.revision > 0"),
    Change(APPLIED_FIRST, "saying that a change is known before all know it", STORE,
           "known.revision < revision", "known.revision + 1 < revision"),
    Change(BOUND, "taking acknowledgements with another token", REAL_HOLDERS,
           "sqlx::query(enter)",
           """sqlx::query(EDIT(enter, "where holders.token_id = excluded.token_id", ""))""",
           "api verifiers::callers::a_process_is_bound_to_the_token_that_it_first_showed"),
    Change(THEN_READ, "telling the time of the change as that of the last acknowledgement", ADMIN,
           """let at = world.now;
            world.note(|| format!("{} is revoked everywhere", key.id));""",
           """let at = if BROKEN { committed } else { world.now };
            world.note(|| format!("{} is revoked everywhere", key.id));"""),
    Change(ENTRIES_END, "keeping an entry a second too long", ANSWERS,
           "times.sent.after(valid_for)", "times.sent.after(valid_for + Duration::from_secs(1))"),
    Change(ENTRIES_END, "counting an entry's time from when the answer came", ANSWERS,
           "times.sent.after(valid_for)", "times.now.after(valid_for)"),
    Change(ENTRIES_END, "vouching past a key's end", NODE,
           "valid_for.min(Duration::from_micros(left))", "valid_for"),
    Change(OUTAGE, "calling a lost answer an outage", VERIFIER,
           ">= SILENCE", ">= if BROKEN { Duration::from_secs(1) } else { SILENCE }"),
    Change(OUTAGE, "lending before every node was tried", VERIFIER,
           "request.in_vain && self.is_outage(now)", "self.is_outage(now)"),
    Change(LENT, "lending more than the limit", VERIFIER, "|| remaining == 0", "|| remaining == 0 && !BROKEN"),
    Change(LENT, "lending where nothing was left", VERIFIER, "hour.ran_dry", "false"),
    Change(DEBT, "settling what was not told", DEBTS,
           "owed.settled.max(debt.units.min(owed.units))", "owed.units"),
    Change(DEBT, "counting a debt again each time it is settled", STORE,
           "*owed = debt.units.max(*owed);", "*owed += debt.units;"),
    Change(DEBT, "settling a debt in the hour in which it is told", STORE,
           "(debt.id.hour, debt.id.account)", "(self.latest_hour, debt.id.account)"),
    Change(FAMILY, "a new account after a rotation", ADMIN,
           "successor.account = key.account;", "successor.account = successor.id.into();"),
]
