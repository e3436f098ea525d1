//! The holder's side against a model of the store's, in order and in disorder.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const HOUR_MICROS: i64 = 3600 * SECOND;

/// The store's rule for one account, in memory.
struct Model {
    limit: u32,
    /// What is kept of each holder: seq, allotted, used, awaited.
    rows: HashMap<(Hour, usize), (i64, u32, u32, u32)>,
}

impl Model {
    fn new(limit: u32) -> Self {
        Self { limit, rows: HashMap::new() }
    }

    fn answer(&mut self, holder: usize, ask: Ask, now: Elapsed) -> Option<Answer> {
        let hour = Hour(now.0 / HOUR_MICROS);
        let others: u32 =
            self.rows.iter().filter(|((h, o), _)| *h == hour && *o != holder).map(|(_, row)| row.1).sum();
        let row = self.rows.entry((hour, holder)).or_insert((0, 0, 0, 0));
        if ask.seq <= row.0 {
            return None;
        }
        let used = if ask.hour == Some(hour) { ask.used } else { row.2 + row.3 };
        let granted = ask.want.min(self.limit.saturating_sub(others + used));
        let awaited = ask.waiting.min(granted);
        *row = (ask.seq, used + granted, used, awaited);
        Some(Answer {
            seq: ask.seq,
            hour,
            allotted: used + granted,
            used,
            awaited,
            expires_in: Duration::from_micros((HOUR_MICROS - now.0 % HOUR_MICROS) as u64),
            limit: self.limit,
            left: self.limit.saturating_sub(others + used + granted),
            holders: 1,
            reclaimable: false,
            living: true,
        })
    }
}

fn spend_all(allotment: &mut Allotment, now: Elapsed) -> u32 {
    std::iter::repeat_with(|| allotment.spend(now)).take_while(|spent| *spent == Spend::Admitted).count()
        as u32
}

#[test]
fn exactly_the_limit_is_admitted_when_every_request_asks() {
    let (mut model, mut allotment, now) = (Model::new(10), Allotment::new(Elapsed(0)), Elapsed(0));
    let mut admitted = 0;
    for seq in 1..=40 {
        if allotment.spend(now) == Spend::Empty {
            let ask = allotment.ask(seq, 1, now);
            assert!(allotment.take(&model.answer(0, ask, now).unwrap()));
            admitted += spend_all(&mut allotment, now);
        }
    }
    assert_eq!(admitted, 10);
    assert_eq!(allotment.quota(now).unwrap().remaining, 0);
    allotment.remember_dry(now);
    assert_eq!(allotment.spend(now), Spend::Dry);
    assert_eq!(allotment.spend(now.after(DRY)), Spend::Empty);
}

#[test]
fn units_end_with_the_hour_that_the_store_named() {
    let (mut model, mut allotment) = (Model::new(10), Allotment::new(Elapsed(0)));
    let last = Elapsed(HOUR_MICROS - 1);
    let ask = allotment.ask(1, 5, last);
    allotment.take(&model.answer(0, ask, last).unwrap());
    assert_eq!(allotment.spend(last), Spend::Admitted);
    assert_eq!(allotment.spend(Elapsed(HOUR_MICROS)), Spend::Empty);

    let ask = allotment.ask(2, 10, Elapsed(HOUR_MICROS));
    assert_eq!((ask.hour, ask.used), (Some(Hour(0)), 1));
    allotment.take(&model.answer(0, ask, Elapsed(HOUR_MICROS)).unwrap());
    assert_eq!(spend_all(&mut allotment, Elapsed(HOUR_MICROS)), 10);
}

#[test]
fn a_slow_answer_shortens_the_time_its_units_may_be_spent() {
    let (mut model, mut allotment) = (Model::new(10), Allotment::new(Elapsed(0)));
    let ask = allotment.ask(1, 5, Elapsed(HOUR_MICROS - 10));
    let answer = model.answer(0, ask, Elapsed(HOUR_MICROS - 4)).unwrap();
    allotment.take(&answer);
    assert_eq!(allotment.spend(Elapsed(HOUR_MICROS - 7)), Spend::Admitted);
    assert_eq!(allotment.spend(Elapsed(HOUR_MICROS - 6)), Spend::Empty);
}

#[test]
fn while_a_message_is_under_way_only_what_it_leaves_is_spent() {
    let (mut model, mut allotment, now) = (Model::new(100), Allotment::new(Elapsed(0)), Elapsed(0));
    let ask = allotment.ask(1, 10, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    allotment.spend(now);
    allotment.give_back(2, now);
    assert_eq!(allotment.spend(now), Spend::Empty);
    allotment.lost();
    assert_eq!(allotment.spend(now), Spend::Empty);
}

#[test]
fn an_answer_from_before_a_change_is_not_used() {
    let (mut model, mut allotment, now) = (Model::new(100), Allotment::new(Elapsed(0)), Elapsed(0));
    let ask = allotment.ask(1, 10, now);
    let before = model.answer(0, ask, now).unwrap();
    model.limit = 10;
    allotment.change();
    assert!(!allotment.take(&before));
    assert_eq!(allotment.spend(now), Spend::Empty);
    assert!(!allotment.is_asking());
}

#[test]
fn after_a_change_nothing_is_known_until_the_store_is_asked() {
    let (mut model, mut allotment, now) = (Model::new(100), Allotment::new(Elapsed(0)), Elapsed(0));
    let ask = allotment.ask(1, 1, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    assert_eq!(allotment.quota(now).unwrap().remaining, 100);
    allotment.change();
    assert_eq!((allotment.quota(now), allotment.spend(now)), (None, Spend::Empty));
    model.limit = 50;
    let ask = allotment.ask(2, 1, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    assert_eq!(allotment.quota(now).unwrap().remaining, 50);
}

#[test]
fn an_idle_account_is_settled_and_then_forgotten() {
    let (mut model, mut allotment, now) = (Model::new(100), Allotment::new(Elapsed(0)), Elapsed(0));
    let ask = allotment.ask(1, 10, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    allotment.spend(now);
    let later = now.after(IDLE);
    assert!(!allotment.should_settle(now));
    assert!(allotment.should_settle(later));
    let ask = allotment.give_back(2, later);
    assert_eq!((ask.used, ask.want), (1, 0));
    allotment.take(&model.answer(0, ask, later).unwrap());
    assert!(allotment.can_be_forgotten(later));
    assert_eq!(model.rows[&(Hour(0), 0)], (2, 1, 1, 0));
}

#[test]
fn an_account_that_was_forgotten_goes_on_where_it_was_in_its_hour() {
    let (mut model, now) = (Model::new(10), Elapsed(0));
    let mut admitted = 0;
    for seq in 1..=4 {
        let mut allotment = Allotment::new(now);
        let ask = allotment.ask(3 * seq, 4, now);
        allotment.take(&model.answer(0, ask, now).unwrap());
        admitted += spend_all(&mut allotment, now);
        let ask = allotment.give_back(3 * seq + 1, now);
        allotment.take(&model.answer(0, ask, now).unwrap());
        assert!(allotment.can_be_forgotten(now.after(IDLE)));
    }
    assert_eq!(admitted, 10);
}

#[test]
fn nothing_is_said_again_of_a_unit_that_a_waiting_request_took() {
    let (mut model, mut allotment, now) = (Model::new(10), Allotment::new(Elapsed(0)), Elapsed(0));
    let ask = allotment.ask(1, 1, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    assert!(!allotment.is_settled(), "the unit is at hand");
    allotment.spend(now);
    assert!(allotment.can_be_forgotten(now.after(IDLE)));
    let mut afresh = Allotment::new(now);
    let ask = afresh.ask(2, 1, now);
    afresh.take(&model.answer(0, ask, now).unwrap());
    assert_eq!(afresh.used(), Some((Hour(0), 1)));
}

#[test]
fn a_unit_that_no_request_took_in_the_end_is_given_back() {
    let (mut model, mut allotment, now) = (Model::new(10), Allotment::new(Elapsed(0)), Elapsed(0));
    let ask = allotment.ask(1, 3, now);
    let answer = model.answer(0, ask, now).unwrap();
    allotment.change();
    assert!(!allotment.take(&answer));
    assert!(allotment.should_settle(now.after(IDLE)));
    let ask = allotment.ask(2, 10, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    assert_eq!(spend_all(&mut allotment, now), 10);
}

#[test]
fn lost_messages_cost_a_waiting_request_one_unit_at_most() {
    let (mut model, mut allotment, now) = (Model::new(10), Allotment::new(Elapsed(0)), Elapsed(0));
    for seq in 1..=5 {
        let ask = allotment.ask(seq, 1, now);
        model.answer(0, ask, now).unwrap();
        allotment.lost();
    }
    let ask = allotment.ask(6, 10, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    assert_eq!(spend_all(&mut allotment, now), 9);
}

#[test]
fn an_account_whose_first_message_was_lost_is_not_begun_anew() {
    let (mut model, mut allotment, now) = (Model::new(10), Allotment::new(Elapsed(0)), Elapsed(0));
    let later = now.after(IDLE);
    let ask = allotment.ask(1, 1, now);
    model.answer(0, ask, now).unwrap();
    allotment.lost();
    assert!(!allotment.can_be_forgotten(later));
    assert!(allotment.should_settle(later));
    let ask = allotment.give_back(2, later);
    allotment.take(&model.answer(0, ask, later).unwrap());
    assert!(allotment.can_be_forgotten(later));
}

#[test]
fn after_a_lost_message_nothing_is_forgotten_that_was_spent() {
    let (mut model, mut allotment, now) = (Model::new(2), Allotment::new(Elapsed(0)), Elapsed(0));
    let ask = allotment.ask(1, 1, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    allotment.ask(2, 1, now);
    allotment.lost();
    // This one says that nothing is spent yet, and arrives; the unit of the first is spent after it.
    let ask = allotment.ask(3, 1, now);
    model.answer(0, ask, now).unwrap();
    allotment.lost();
    assert_eq!(allotment.spend(now), Spend::Admitted);
    assert!(allotment.should_settle(now.after(IDLE)));
}

#[test]
fn a_busy_key_asks_seldom_and_a_dry_one_for_single_units() {
    let (mut model, mut allotment, now) = (Model::new(100_000), Allotment::new(Elapsed(0)), Elapsed(0));
    let mut asked = 0;
    for seq in 1..=50_000 {
        if allotment.runs_low(now) || allotment.spend(now) == Spend::Empty {
            asked += 1;
            let ask = allotment.ask(seq, 1, now);
            allotment.take(&model.answer(0, ask, now).unwrap());
        }
    }
    assert!(asked < 100, "{asked} messages for 50,000 requests");
    model.limit = 1;
    let ask = allotment.ask(60_000, 1, now);
    allotment.take(&model.answer(0, ask, now).unwrap());
    assert_eq!(allotment.ask(60_001, 1, now).want, 1);
}

#[test]
fn retry_after_is_whole_seconds_rounded_up_and_never_zero() {
    let quota =
        |millis| Quota { limit: 1, remaining: 0, hour: Hour(0), ends_in: Duration::from_millis(millis) };
    assert_eq!([0, 1, 1000, 1001].map(|millis| quota(millis).retry_after_seconds()), [1, 1, 1, 2]);
}

#[derive(Clone, Debug)]
enum Step {
    Spend(usize),
    Ask {
        holder: usize,
        waiting: u32,
        fate: Fate,
    },
    GiveBack {
        holder: usize,
        fate: Fate,
    },
    /// The account changes while the answer to an ask is on its way.
    AskAndChange {
        holder: usize,
        waiting: u32,
    },
    Crash(usize),
    Forget(usize),
    Deliver(usize),
    Advance(i64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    RequestLost,
    AnswerLost,
    Doubled,
    Late,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        4 => Just(Fate::Arrives),
        1 => Just(Fate::RequestLost),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Doubled),
        1 => Just(Fate::Late),
    ];
    let holder = 0usize..3;
    prop_oneof![
        8 => holder.clone().prop_map(Step::Spend),
        4 => (holder.clone(), 1u32..6, fate.clone()).prop_map(|(holder, waiting, fate)| Step::Ask {
            holder,
            waiting,
            fate
        }),
        1 => (holder.clone(), fate).prop_map(|(holder, fate)| Step::GiveBack { holder, fate }),
        1 => (holder.clone(), 1u32..6)
            .prop_map(|(holder, waiting)| Step::AskAndChange { holder, waiting }),
        1 => holder.clone().prop_map(Step::Crash),
        2 => holder.prop_map(Step::Forget),
        1 => (0usize..8).prop_map(Step::Deliver),
        1 => (0i64..HOUR_MICROS / 3).prop_map(Step::Advance),
    ]
}

/// Three holders, one account, and a network that loses, doubles and delays.
struct World {
    now: Elapsed,
    seq: i64,
    model: Model,
    /// Each holder's identity at the store, and its units. A crash gives it a new identity.
    holders: Vec<(usize, Allotment)>,
    late: Vec<(usize, Ask)>,
    admitted: HashMap<Hour, u32>,
}

impl World {
    fn new(limit: u32) -> Self {
        let holders = (0..3).map(|id| (id, Allotment::new(Elapsed(0)))).collect();
        let (model, late, admitted) = (Model::new(limit), Vec::new(), HashMap::new());
        Self { now: Elapsed(0), seq: 0, model, holders, late, admitted }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Spend(holder) => {
                let allotment = &mut self.holders[holder].1;
                if allotment.spend(self.now) == Spend::Admitted {
                    *self.admitted.entry(Hour(self.now.0 / HOUR_MICROS)).or_default() += 1;
                }
            }
            Step::Ask { holder, waiting, fate } => self.exchange(holder, Some(waiting), fate),
            Step::GiveBack { holder, fate } => self.exchange(holder, None, fate),
            Step::AskAndChange { holder, waiting } => {
                self.seq += 1;
                let (id, allotment) = &mut self.holders[holder];
                let ask = allotment.ask(self.seq, waiting, self.now);
                allotment.change();
                if let Some(answer) = self.model.answer(*id, ask, self.now) {
                    assert!(!allotment.take(&answer));
                }
            }
            Step::Crash(holder) => {
                let id = self.seq as usize + 100;
                self.seq += 1;
                self.holders[holder] = (id, Allotment::new(self.now));
            }
            Step::Forget(holder) => {
                let allotment = &mut self.holders[holder].1;
                if allotment.is_settled() && !allotment.is_asking() {
                    *allotment = Allotment::new(self.now);
                }
            }
            Step::Deliver(at) if at < self.late.len() => {
                let (id, ask) = self.late.swap_remove(at);
                self.model.answer(id, ask, self.now);
            }
            Step::Deliver(_) => {}
            Step::Advance(micros) => self.now = Elapsed(self.now.0 + micros),
        }
    }

    fn exchange(&mut self, holder: usize, waiting: Option<u32>, fate: Fate) {
        self.seq += 1;
        let (id, allotment) = &mut self.holders[holder];
        let ask = match waiting {
            Some(waiting) => allotment.ask(self.seq, waiting, self.now),
            None => allotment.give_back(self.seq, self.now),
        };
        let answer = match fate {
            Fate::RequestLost => None,
            Fate::Late => {
                self.late.push((*id, ask));
                None
            }
            Fate::Arrives => self.model.answer(*id, ask, self.now),
            Fate::AnswerLost => self.model.answer(*id, ask, self.now).and(None),
            Fate::Doubled => {
                let first = self.model.answer(*id, ask, self.now);
                self.model.answer(*id, ask, self.now);
                first
            }
        };
        match answer {
            Some(answer) => drop(allotment.take(&answer)),
            None => allotment.lost(),
        }
    }
}

proptest! {
    #[test]
    fn no_hour_admits_more_than_the_limit(
        limit in 1u32..30,
        steps in proptest::collection::vec(step(), 1..300),
    ) {
        let mut world = World::new(limit);
        for step in &steps {
            world.run(step);
            prop_assert!(world.admitted.values().all(|admitted| *admitted <= limit), "{:?}", world.admitted);
        }
    }
}
