//! Scenarios of a change of the voters: who may endorse, approve and move, and what the overlap of quorums allows.

use super::*;
use crate::attestation::Root;
use crate::crypto::{NodeKey, Ring, Signer};
use crate::electorate::{Electorate, VERSION, Voter};
use crate::ids::{ClusterId, ElectorateDigest, NodeId, Pcr};
use crate::policy::{Policy, Rule};
use crate::quorum;
use crate::statement::{Signed, Verified};
use crate::trust::{PcrSet, Trust};
use safety::fewest_shared;
use std::collections::{BTreeMap, BTreeSet};

fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number; 32])
}

/// Epoch 1 with these voters.
fn first(voters: &[u8], f: u32) -> Electorate {
    let voter = |number: &u8| Voter {
        key: key(*number).id(),
        name: format!("v{number}"),
        address: format!("127.0.0.1:{}", 5000 + u16::from(*number)),
        weight: 1,
    };
    let pcr = Pcr([1; 48]);
    let accepted = vec![PcrSet { pcr0: pcr, pcr1: pcr, pcr2: pcr, pcr8: None }];
    let mut electorate = Electorate {
        version: VERSION,
        cluster: ClusterId([7; 16]),
        name: "c".into(),
        epoch: 1,
        previous: None,
        f,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: Trust { root: Root::Aws, accepted, allow_debug: false, max_age_ms: 3_600_000 },
        voters: voters.iter().map(voter).collect(),
    };
    electorate.sort();
    electorate
}

/// The successor of `old` with these voters.
fn after(old: &Electorate, voters: &[u8], f: u32) -> Electorate {
    Electorate { epoch: old.epoch + 1, previous: Some(old.digest()), ..first(voters, f) }
}

fn numbers(n: u8) -> Vec<u8> {
    (1..=n).collect()
}

fn names(result: &Result<SafeChange, Vec<Unsafe>>) -> Vec<&'static str> {
    result.as_ref().err().into_iter().flatten().map(Unsafe::name).collect()
}

fn step(old: (&[u8], u32), new: (&[u8], u32)) -> Result<SafeChange, Vec<Unsafe>> {
    let old = first(old.0, old.1);
    SafeChange::check(&old, &after(&old, new.0, new.1))
}

/// PROTOCOL E1
#[test]
fn the_sizes_of_the_contract_pass_each_to_the_next_and_back() {
    let sizes = [(1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (5, 1), (6, 1), (7, 1), (7, 2)];
    for pair in sizes.windows(2) {
        let [(n, f), (m, g)] = pair else { unreachable!("windows of two") };
        let (old, new) = (numbers(*n), numbers(*m));
        assert!(step((&old, *f), (&new, *g)).is_ok(), "{n} (f = {f}) to {m} (f = {g})");
        assert!(step((&new, *g), (&old, *f)).is_ok(), "{m} (f = {g}) to {n} (f = {f})");
    }
}

/// PROTOCOL E1
#[test]
fn two_at_once_a_jump_of_f_and_a_key_exchanged_are_refused_by_name() {
    for (n, f) in [(1, 0), (3, 0), (4, 1), (5, 1), (7, 2), (10, 3)] {
        let (old, two_more) = (numbers(n), numbers(n + 2));
        assert!(names(&step((&old, f), (&two_more, f))).contains(&"several-voters"), "{n}");
        assert!(names(&step((&two_more, f), (&old, f))).contains(&"several-voters"), "{n}");
        let exchanged = [&numbers(n)[1..], &[99]].concat();
        assert!(names(&step((&old, f), (&exchanged, f))).contains(&"replaced"), "{n}");
    }
    assert_eq!(names(&step((&numbers(3), 0), (&numbers(4), 1))), ["overlap"]);
    assert_eq!(names(&step((&numbers(6), 1), (&numbers(7), 2))), ["overlap"]);
    assert_eq!(names(&step((&numbers(4), 1), (&[2, 3, 4, 99], 1))), ["replaced", "overlap"]);
}

/// PROTOCOL E1
#[test]
fn a_change_names_its_cluster_the_next_epoch_and_its_predecessor() {
    let old = first(&numbers(4), 1);
    let new = after(&old, &numbers(5), 1);
    let check = |new: &Electorate| names(&SafeChange::check(&old, new));
    assert!(check(&new).is_empty());
    assert_eq!(check(&Electorate { epoch: 3, ..new.clone() }), ["epoch"]);
    assert_eq!(check(&Electorate { epoch: 1, ..new.clone() }), ["epoch"]);
    assert_eq!(check(&Electorate { previous: None, ..new.clone() }), ["previous"]);
    assert_eq!(check(&Electorate { cluster: ClusterId([8; 16]), ..new.clone() }), ["other-cluster"]);
    assert_eq!(check(&Electorate { cluster: ClusterId::OPEN, ..new }), ["open", "other-cluster"]);
    let last = Electorate { epoch: u64::MAX, ..old.clone() };
    assert!(names(&SafeChange::check(&last, &after(&old, &numbers(5), 1))).contains(&"epoch"));
}

/// All sets of `size` of the members, as bits.
fn subsets(members: u32, size: usize) -> impl Iterator<Item = u32> {
    (0..=members).filter(move |set| set & !members == 0 && set.count_ones() as usize == size)
}

/// PROTOCOL E1
#[test]
fn the_fewest_shared_voters_are_those_of_all_pairs_of_quorums_counted_out() {
    for (n, m) in (1..=5_u8).flat_map(|n| (1..=5_u8).map(move |m| (n, m))) {
        for common in 0..=n.min(m) {
            for f in (0..n).filter(|f| quorum::tolerates(n.into(), (*f).into())) {
                for g in (0..m).filter(|g| quorum::tolerates(m.into(), (*g).into())) {
                    let theirs: Vec<u8> = (n - common + 1..=n - common + m).collect();
                    let (one, other) = (first(&numbers(n), f.into()), first(&theirs, g.into()));
                    let bits = |voters: &[u8]| voters.iter().fold(0_u32, |set, voter| set | 1 << voter);
                    let (ones, others) = (bits(&numbers(n)), bits(&theirs));
                    let fewest = subsets(ones, one.quorum())
                        .flat_map(|a| subsets(others, other.quorum()).map(move |b| (a & b).count_ones()))
                        .min();
                    let counted = fewest_shared(&one, &other);
                    assert_eq!(
                        fewest,
                        Some(counted as u32),
                        "{n} (f = {f}), {m} (f = {g}), {common} in both"
                    );
                }
            }
        }
    }
}

fn endorsed(change: Change, attempt: u64, voters: &[u8]) -> Vec<Signed<Endorse>> {
    let word = |voter: &u8| Verified::sign(Endorse::word(change, attempt, key(*voter).id()), &key(*voter));
    voters.iter().map(|voter| word(voter).into_signed()).collect()
}

fn approved(change: Change, attempt: u64, voters: &[u8]) -> Vec<Signed<Approve>> {
    let word = |voter: &u8| Verified::sign(Approve::word(change, attempt, key(*voter).id()), &key(*voter));
    voters.iter().map(|voter| word(voter).into_signed()).collect()
}

/// Four voters, and two successors of them.
fn rivals() -> (Electorate, Change, Change) {
    let old = first(&numbers(4), 1);
    let to = |fifth: u8| Change::between(&old, &after(&old, &[1, 2, 3, 4, fifth], 1));
    let changes = (to(5), to(6));
    (old, changes.0, changes.1)
}

fn shown(change: Change, attempt: u64, voters: &[u8]) -> Agreed<Endorse> {
    Agreed::count(change, &rivals().0, &endorsed(change, attempt, voters), &Ring).unwrap()
}

/// PROTOCOL E2
#[test]
fn a_voter_endorses_once_an_attempt_and_attempts_only_rise() {
    let (old, one, other) = rivals();
    let mut ledger = Ledger::new(key(1).id(), &old);
    let first = ledger.endorse(one, 2, None).unwrap();
    assert_eq!(ledger.endorse(one, 2, None), Ok(first), "the same again is the same");
    assert!(matches!(ledger.endorse(other, 2, None), Err(Refused::EndorsedAnother(_))));
    for earlier in [one, other] {
        assert!(matches!(ledger.endorse(earlier, 1, None), Err(Refused::EndorsedLater(_))));
    }
    assert!(ledger.endorse(other, 3, None).is_ok(), "a split costs an attempt, nothing else");
    assert_eq!((ledger.next_attempt(other.to), ledger.next_attempt(one.to)), (3, 4));
    assert!(matches!(ledger.endorse(one, 0, None), Err(Refused::Attempt(0))));
    assert!(matches!(ledger.endorse(one, 1 << 53, None), Err(Refused::Attempt(_))));
}

/// PROTOCOL E3
#[test]
fn a_voter_approves_only_what_a_quorum_endorsed_and_nothing_below_its_own_attempt() {
    let (old, one, other) = rivals();
    let too_few = Agreed::count(one, &old, &endorsed(one, 1, &[1, 2]), &Ring).unwrap_err();
    assert_eq!((too_few.needed, too_few.there.len(), too_few.attempt), (3, 2, Some(1)));
    assert!(too_few.to_string().contains("v1, v2"), "{too_few}");
    let mut ledger = Ledger::new(key(1).id(), &old);
    assert_eq!(ledger.approve(other, &shown(one, 1, &[1, 2, 3])), Err(Refused::OtherChange));
    ledger.endorse(other, 2, None).unwrap();
    assert!(matches!(ledger.approve(one, &shown(one, 1, &[2, 3, 4])), Err(Refused::EndorsedLater(_))));
    let approval = ledger.approve(other, &shown(other, 2, &[1, 2, 3])).unwrap();
    assert_eq!((approval.attempt, approval.to), (2, other.to));
    assert_eq!(ledger.approve(other, &shown(other, 2, &[1, 2, 4])), Ok(approval), "the same again");
}

/// PROTOCOL E3
#[test]
fn after_approving_a_voter_turns_to_another_only_with_a_quorum_of_a_later_attempt() {
    let (old, one, other) = rivals();
    let mut ledger = Ledger::new(key(1).id(), &old);
    ledger.approve(one, &shown(one, 2, &[2, 3, 4])).unwrap();
    assert!(ledger.endorse(one, 3, None).is_ok(), "the same successor at any time");
    for not_later in [None, Some(shown(other, 2, &[2, 3, 4])), Some(shown(one, 4, &[2, 3, 4]))] {
        let refused = ledger.endorse(other, 4, not_later.as_ref());
        assert!(matches!(refused, Err(Refused::ApprovedAnother(_))), "{not_later:?}");
    }
    assert!(ledger.endorse(other, 4, Some(&shown(other, 5, &[2, 3, 4]))).is_err(), "of an attempt to come");
    assert!(ledger.endorse(other, 4, Some(&shown(other, 4, &[2, 3, 4]))).is_ok());
}

/// PROTOCOL E2
#[test]
fn a_ledger_is_about_one_electorate_and_goes_on_to_later_ones_alone() {
    let (old, one, _) = rivals();
    let next = after(&old, &numbers(5), 1);
    let mut ledger = Ledger::new(key(1).id(), &old);
    ledger.endorse(one, 1, None).unwrap();
    assert_eq!(ledger.about(&old), Ok(ledger));
    let later = ledger.about(&next).unwrap();
    assert_eq!((later.from, later.endorsed), (next.digest(), None));
    assert!(matches!(later.about(&old), Err(Refused::OtherBase { .. })));
    let rival = Electorate { name: "rival".into(), ..old.clone() };
    assert!(matches!(ledger.about(&rival), Err(Refused::OtherBase { .. })));
    assert_eq!(Ledger::new(key(9).id(), &old).about(&old), Err(Refused::NotAVoter));
    assert_eq!(later.clone().endorse(one, 1, None), Err(Refused::OtherChange));
}

/// PROTOCOL E4
#[test]
fn words_of_strangers_of_other_changes_badly_signed_and_repeated_do_not_count() {
    let (old, one, other) = rivals();
    let mut words = approved(one, 1, &[1, 2, 2, 9]);
    words.extend(approved(other, 1, &[3]));
    words.extend(approved(one, 2, &[4]));
    let forged = Approve::word(one, 1, key(3).id());
    let stolen = Verified::sign(Approve::word(one, 1, key(9).id()), &key(9)).into_signed();
    words.push(Signed::from_parts(crate::codec::encode(&forged), *stolen.signature()));
    let too_few = Agreed::count(one, &old, &words, &Ring).unwrap_err();
    assert_eq!((too_few.there.as_slice(), too_few.attempt), (&["v1".into(), "v2".to_string()][..], Some(1)));
    let uncounted = too_few.uncounted;
    assert_eq!((uncounted.strangers, uncounted.other_change, uncounted.unsigned), (1, 1, 1));
    words.extend(approved(one, 1, &[3]));
    assert_eq!(Agreed::count(one, &old, &words, &Ring).unwrap().voters().len(), 3);
}

/// PROTOCOL E4
#[test]
fn nobody_moves_without_approvals_without_a_certificate_or_by_an_unsafe_step() {
    let old = first(&numbers(4), 1);
    let new = after(&old, &[1, 2, 3, 4, 5, 6], 1);
    let missing = may_pass(&old, &new, &[], None, &Ring).unwrap_err();
    assert!(matches!(missing[0], Missing::Safety(Unsafe::SeveralVoters { .. })), "{missing:?}");
    assert!(missing.contains(&Missing::Certificate));
    assert!(matches!(missing.last(), Some(Missing::Approvals(_))));
    let new = after(&old, &numbers(5), 1);
    let approvals = approved(Change::between(&old, &new), 1, &[1, 2, 3]);
    assert_eq!(may_pass(&old, &new, &approvals, None, &Ring), Err(vec![Missing::Certificate]));
}

/// A word drawn from a seed: which voter does what.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// What everybody has signed so far, by word and attempt.
#[derive(Default)]
struct Soup {
    endorsements: BTreeMap<(ElectorateDigest, u64), BTreeSet<NodeId>>,
    approvals: BTreeMap<(ElectorateDigest, u64), BTreeSet<NodeId>>,
}

impl Soup {
    fn agreed(&self, change: Change, attempt: u64) -> Option<Agreed<Endorse>> {
        let voters = self.endorsements.get(&(change.to, attempt))?;
        let numbers: Vec<u8> = (1..=4).filter(|number| voters.contains(&key(*number).id())).collect();
        (numbers.len() >= 3).then(|| shown(change, attempt, &numbers))
    }

    fn approved(&self, change: Change) -> bool {
        self.approvals.iter().any(|((to, _), voters)| *to == change.to && voters.len() >= 3)
    }
}

/// PROTOCOL E3
#[test]
fn two_rivals_never_both_get_a_quorum_of_approvals_whatever_one_voter_in_four_signs() {
    let (old, one, other) = rivals();
    let mut decided = 0;
    for seed in 0..60 {
        let mut state = seed;
        let mut ledgers: Vec<Ledger> = (1..=3).map(|voter| Ledger::new(key(voter).id(), &old)).collect();
        let mut soup = Soup::default();
        for change in [one, other] {
            for attempt in 1..=3 {
                // The fourth is Byzantine: it has signed everything from the start.
                soup.endorsements.entry((change.to, attempt)).or_default().insert(key(4).id());
                soup.approvals.entry((change.to, attempt)).or_default().insert(key(4).id());
            }
        }
        for _ in 0..40 {
            let ledger = &mut ledgers[draw(&mut state, 3) as usize];
            let change = [one, other][draw(&mut state, 2) as usize];
            let (attempt, voter) = (1 + draw(&mut state, 3), ledger.voter);
            let agreed = soup.agreed(change, attempt);
            if draw(&mut state, 2) == 0 {
                if ledger.endorse(change, attempt, agreed.as_ref()).is_ok() {
                    soup.endorsements.entry((change.to, attempt)).or_default().insert(voter);
                }
            } else if agreed.is_some_and(|agreed| ledger.approve(change, &agreed).is_ok()) {
                soup.approvals.entry((change.to, attempt)).or_default().insert(voter);
            }
            assert!(!(soup.approved(one) && soup.approved(other)), "seed {seed}");
        }
        decided += usize::from(soup.approved(one) || soup.approved(other));
    }
    assert!(decided > 10, "and often one of them does: {decided}");
}
