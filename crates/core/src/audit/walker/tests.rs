//! Chains of nine entries, each tampered with in one way.

use super::*;
use crate::audit::Entry;
use crate::time::Timestamp;

fn key(letter: &str) -> AuditKey {
    AuditKey::new(letter.repeat(32)).unwrap()
}

/// A chain of entries that differ.
fn chain(length: i64, key: &AuditKey) -> Vec<SealedEntry> {
    let mut seal = FIRST;
    let sealed = (1..=length).map(|number| {
        let text = |what: &str| format!("{what} {number}");
        let entry = Entry {
            number,
            at: Timestamp(number * 7),
            user_id: text("user"),
            token_id: text("token"),
            action: "key.create".into(),
            target: text("key"),
            address: "192.0.2.7".into(),
            request_id: text("request"),
            detail: "{}".into(),
        };
        seal = key.seal(&seal, &entry);
        SealedEntry { entry, seal: seal.to_vec(), form: Form::Whole }
    });
    sealed.collect()
}

fn head(chain: &[SealedEntry]) -> Head {
    let number = chain.last().map_or(0, |last| last.entry.number);
    let seal = chain.last().map_or(FIRST.to_vec(), |last| last.seal.clone());
    let fingerprint = key("k").fingerprint().to_vec();
    Head { number, seal, highest: number, fingerprint, has_unnumbered: false }
}

fn checkpoint(chain: &[SealedEntry], number: usize) -> Checkpoint {
    let seal = chain[number - 1].seal.as_slice().try_into().unwrap();
    Checkpoint { number: i64::try_from(number).unwrap(), seal }
}

fn walk(chain: &[SealedEntry], head: &Head, checkpoints: &[Checkpoint]) -> Option<Finding> {
    walk_to(chain, Some(head.clone()), checkpoints)
}

fn walk_to(chain: &[SealedEntry], head: Option<Head>, checkpoints: &[Checkpoint]) -> Option<Finding> {
    let mut walker = Walker::new(key("k"), head, checkpoints.to_vec());
    let _ = chain.iter().try_for_each(|sealed| walker.feed(sealed.clone()));
    walker.finish()
}

/// What is found in a chain of nine that was tampered with behind the head's back.
fn found(tamper: impl FnOnce(&mut Vec<SealedEntry>)) -> Option<(i64, Fault)> {
    let mut chain = chain(9, &key("k"));
    let mut head = head(&chain);
    tamper(&mut chain);
    head.highest = chain.iter().map(|sealed| sealed.entry.number).max().unwrap_or(0);
    let finding = walk(&chain, &head, &[])?;
    assert!(!finding.is_other_key);
    let standing = chain.iter().find(|sealed| sealed.entry.number == finding.number);
    if let Some(named) = &finding.stands_there {
        assert_eq!(Some(named), standing);
    }
    Some((finding.number, finding.fault))
}

fn number_anew(chain: &mut [SealedEntry]) {
    for (sealed, number) in chain.iter_mut().zip(1..) {
        sealed.entry.number = number;
    }
}

#[test]
fn an_untouched_chain_is_good_at_every_length() {
    for length in [0, 1, 2, 9] {
        let chain = chain(length, &key("k"));
        assert_eq!(walk(&chain, &head(&chain), &[]), None, "{length}");
    }
    assert_eq!(found(|_| ()), None);
}

#[test]
fn a_change_to_any_part_is_found_at_its_entry() {
    let changes: [fn(&mut SealedEntry); 10] = [
        |sealed| sealed.entry.at = Timestamp(0),
        |sealed| sealed.entry.user_id.clear(),
        |sealed| sealed.entry.token_id.clear(),
        |sealed| sealed.entry.action = "key.revoke".into(),
        |sealed| sealed.entry.target.push('x'),
        |sealed| sealed.entry.address.clear(),
        |sealed| sealed.entry.request_id.clear(),
        |sealed| sealed.entry.detail = "{ }".into(),
        |sealed| sealed.seal.truncate(31),
        |sealed| sealed.form = Form::Damaged,
    ];
    for (change, place) in changes.into_iter().zip(0..) {
        let place = place % 9;
        let number = i64::try_from(place).unwrap() + 1;
        assert_eq!(found(|chain| change(&mut chain[place])), Some((number, Fault::Changed)));
    }
}

#[test]
fn the_first_of_several_faults_is_named() {
    let tampered = found(|chain| {
        chain[6].entry.user_id.clear();
        chain[3].entry.user_id.clear();
        chain.remove(7);
    });
    assert_eq!(tampered, Some((4, Fault::Changed)));
}

#[test]
fn a_gap_is_found_where_it_begins() {
    assert_eq!(found(|chain| drop(chain.remove(0))), Some((1, Fault::Missing)));
    assert_eq!(found(|chain| drop(chain.drain(3..6))), Some((4, Fault::Missing)));
}

#[test]
fn a_gap_that_was_closed_is_found_where_it_was() {
    let closed = found(|chain| {
        chain.remove(3);
        number_anew(chain);
    });
    assert_eq!(closed, Some((4, Fault::Changed)));
}

#[test]
fn an_entry_that_was_put_between_others_is_found() {
    let between = found(|chain| {
        let mut forged = chain[5].clone();
        forged.entry.user_id = "somebody".into();
        chain.insert(2, forged);
        number_anew(chain);
    });
    assert_eq!(between, Some((3, Fault::Inserted { belongs_here: 4 })));
}

#[test]
fn an_entry_that_shares_its_number_or_has_none_of_the_chain_is_found() {
    assert_eq!(found(|chain| chain.insert(5, chain[4].clone())), Some((5, Fault::Extra)));
    let before = found(|chain| {
        chain.insert(0, chain[4].clone());
        chain[0].entry.number = 0;
    });
    assert_eq!(before, Some((0, Fault::Extra)));
}

#[test]
fn an_entry_without_a_number_is_found_wherever_it_stands() {
    for place in [0, 4, 9] {
        let mut chain = chain(9, &key("k"));
        let head = head(&chain);
        let stray = SealedEntry { form: Form::Unnumbered, ..chain[8].clone() };
        chain.insert(place, stray.clone());
        let finding = walk(&chain, &head, &[]).unwrap();
        let number = i64::try_from(place).unwrap() + 1;
        assert_eq!((finding.number, finding.fault), (number, Fault::Unnumbered));
        assert_eq!(finding.stands_there, Some(stray));
    }
    // Nothing behind it is looked at: who feeds the walker could not get past it.
    let mut chain = chain(9, &key("k"));
    chain[2].entry.user_id.clear();
    chain[5].form = Form::Unnumbered;
    let mut walker = Walker::new(key("k"), Some(head(&chain)), Vec::new());
    assert_eq!(chain.iter().position(|sealed| walker.feed(sealed.clone()).is_break()), Some(5));
    assert_eq!(walker.finish().unwrap().fault, Fault::Changed);
}

#[test]
fn an_entry_behind_all_numbers_is_found_though_the_chain_grows_meanwhile() {
    let whole = chain(9, &key("k"));
    let early = head(&whole[..6]);
    let finding = walk(&whole, &Head { has_unnumbered: true, ..early }, &[]).unwrap();
    assert_eq!((finding.number, finding.fault), (7, Fault::Unnumbered));
}

#[test]
fn entries_that_changed_places_are_found() {
    for (one, other) in [(1, 2), (0, 8), (3, 7)] {
        let exchanged = found(|chain| {
            chain.swap(one, other);
            number_anew(chain);
        });
        let (place, belongs_here) = (i64::try_from(one).unwrap() + 1, i64::try_from(other).unwrap() + 1);
        assert_eq!(exchanged, Some((place, Fault::Moved { belongs_here })));
    }
}

#[test]
fn a_cut_tail_is_found_by_the_head() {
    assert_eq!(found(|chain| chain.truncate(6)), Some((7, Fault::TailCut { head: 9 })));
    assert_eq!(found(Vec::clear), Some((1, Fault::TailCut { head: 9 })));
    let replaced = found(|chain| {
        chain.truncate(6);
        chain.push(chain[5].clone());
        chain[6].entry.number = 12;
    });
    assert_eq!(replaced, Some((7, Fault::TailCut { head: 9 })));
}

#[test]
fn a_tail_that_was_cut_together_with_the_head_is_found_by_a_checkpoint_alone() {
    let whole = chain(9, &key("k"));
    let (cut, known) = (&whole[..6], checkpoint(&whole, 8));
    assert_eq!(walk(cut, &head(cut), &[]), None);
    assert_eq!(walk(cut, &head(cut), &[checkpoint(&whole, 6)]), None);
    for checkpoints in [vec![known], vec![known, checkpoint(&whole, 3)]] {
        let finding = walk(cut, &head(cut), &checkpoints).unwrap();
        assert_eq!((finding.number, finding.fault), (7, Fault::BeforeCheckpoint { checkpoint: 8 }));
    }
}

#[test]
fn a_chain_that_went_another_way_than_the_checkpoint_is_found() {
    let whole = chain(9, &key("k"));
    let all: Vec<Checkpoint> = (1..=9).map(|number| checkpoint(&whole, number)).collect();
    assert_eq!(walk(&whole, &head(&whole), &all), None);
    let other = checkpoint(&chain(9, &key("x")), 5);
    let finding = walk(&whole, &head(&whole), &[all[8], all[4], other, all[2]]).unwrap();
    assert_eq!((finding.number, finding.fault), (5, Fault::CheckpointDiffers));
}

#[test]
fn what_lies_behind_the_head_is_found_unless_it_came_since() {
    let whole = chain(9, &key("k"));
    let early = head(&whole[..6]);
    assert_eq!(walk(&whole, &early, &[]), None);
    let finding = walk(&whole, &Head { highest: 9, ..early }, &[]).unwrap();
    assert_eq!((finding.number, finding.fault), (7, Fault::BehindHead { head: 6 }));
}

#[test]
fn a_head_with_another_seal_is_found() {
    let whole = chain(9, &key("k"));
    let other = Head { seal: FIRST.to_vec(), ..head(&whole) };
    let finding = walk(&whole, &other, &[]).unwrap();
    assert_eq!((finding.number, finding.fault), (9, Fault::HeadDiffers));
}

#[test]
fn a_head_that_can_t_be_read_is_found_unless_an_entry_is_wrong() {
    let mut chain = chain(9, &key("k"));
    let finding = walk_to(&chain, None, &[]).unwrap();
    assert_eq!((finding.number, finding.fault, finding.is_other_key), (9, Fault::HeadUnreadable, false));
    chain[4].entry.user_id.clear();
    assert_eq!(walk_to(&chain, None, &[]).unwrap().number, 5);
}

#[test]
fn a_checkpoint_of_nothing_has_the_first_seal() {
    let whole = chain(9, &key("k"));
    assert_eq!(walk(&whole, &head(&whole), &[Checkpoint { number: 0, seal: FIRST }]), None);
    let other = Checkpoint { number: 0, seal: [1; 32] };
    for chain in [&whole[..], &[]] {
        let finding = walk(chain, &head(chain), &[other]).unwrap();
        assert_eq!((finding.number, finding.fault), (0, Fault::CheckpointDiffers));
    }
}

#[test]
fn a_chain_that_was_written_anew_without_the_key_fails_where_that_begins() {
    let forged = chain(9, &key("x"));
    let finding = walk(&forged, &head(&forged), &[]).unwrap();
    assert_eq!((finding.number, finding.fault, finding.is_other_key), (1, Fault::Changed, false));
    let claimed = Head { fingerprint: key("x").fingerprint().to_vec(), ..head(&forged) };
    let finding = walk(&forged, &claimed, &[]).unwrap();
    assert_eq!((finding.number, finding.fault, finding.is_other_key), (1, Fault::Changed, true));

    let mut half = chain(9, &key("k"));
    let mut seal: Seal = half[3].seal.as_slice().try_into().unwrap();
    for sealed in &mut half[4..] {
        sealed.entry.user_id = "somebody".into();
        seal = key("x").seal(&seal, &sealed.entry);
        sealed.seal = seal.to_vec();
    }
    let finding = walk(&half, &head(&half), &[]).unwrap();
    assert_eq!((finding.number, finding.fault), (5, Fault::Changed));
}

#[test]
fn a_replaced_fingerprint_is_found_though_all_entries_fit() {
    let whole = chain(9, &key("k"));
    let claimed = Head { fingerprint: key("x").fingerprint().to_vec(), ..head(&whole) };
    let finding = walk(&whole, &claimed, &[]).unwrap();
    assert_eq!((finding.number, finding.fault), (9, Fault::OtherKey));
}
