//! Logs as a whole: chains that hold, and every way in which one does not.

use crate::world::{LATER, SOON, World, shared};
use nitro_elect::proof_file::ProofFile;
use nitro_elect::verify::chain::{Alarm, Before, Chain, Entry, Judge, Origin, Standing, Vouched, examine};
use nitro_elect::verify::{Accept, Moment, Verdict};
use nitro_elect_protocol::certificate::Certificate;
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::view::Accepted;

const SIMULATED: Accept = Accept { debug: false, simulated: true, open: false };

/// The triple by which later certificates name this one.
fn accepted(proof: &ProofFile) -> Accepted {
    let certificate = proof.bundle.certificate.peek().unwrap();
    let digest = proof.bundle.certificate.digest();
    Accepted { term: certificate.term, leader: certificate.leader, certificate: digest }
}

fn next(world: &World, term: u64, previous: Option<&ProofFile>, promises: usize) -> ProofFile {
    let certificate =
        Certificate { term: Term(term), previous: previous.map(accepted), ..world.certificate() };
    world.proof_of(&certificate, promises)
}

/// Certificates of these terms, each naming the one before it.
fn chain_of(terms: &[u64]) -> Vec<ProofFile> {
    let mut proofs: Vec<ProofFile> = Vec::new();
    for term in terms {
        let proof = next(shared(), *term, proofs.last(), 2);
        proofs.push(proof);
    }
    proofs
}

fn judged(proofs: Vec<ProofFile>, now: Wall) -> Chain {
    let electorates = vec![shared().electorate.clone()];
    let judge = Judge { electorates, moment: Moment::Now(now), accept: SIMULATED };
    examine(entries(proofs), Some(&judge), |_, _| {})
}

fn entries(proofs: Vec<ProofFile>) -> Vec<Entry> {
    let entry = |(proof, line)| Entry { proof, origin: Origin { source: "log".into(), line } };
    proofs.into_iter().zip(1..).map(entry).collect()
}

fn verdict(chain: &Chain) -> Verdict {
    chain.verdict(SIMULATED, false)
}

#[test]
fn a_whole_log_is_valid_long_after_its_documents_have_expired() {
    for now in [SOON, LATER] {
        let chain = judged(chain_of(&[1, 2, 5]), now);
        assert_eq!(verdict(&chain), Verdict::Valid, "{:?} {:?}", chain.links, chain.alarms);
        let before: Vec<Before> = chain.links.iter().filter_map(|link| link.before).collect();
        assert_eq!(before, [Before::Nothing, Before::Follows(Term(1)), Before::Follows(Term(2))]);
        assert_eq!(chain.verdict(Accept::default(), false), Verdict::LessAssurance);
    }
}

#[test]
fn progress_is_told_for_each_certificate() {
    let mut told = Vec::new();
    let electorates = vec![shared().electorate.clone()];
    let judge = Judge { electorates, moment: Moment::Now(SOON), accept: SIMULATED };
    examine(entries(chain_of(&[1, 2, 3])), Some(&judge), |done, total| told.push((done, total)));
    assert_eq!(told, [(1, 3), (2, 3), (3, 3)]);
}

#[test]
fn a_missing_certificate_is_a_gap_with_its_term_and_a_missing_beginning_is_none() {
    let mut proofs = chain_of(&[1, 2, 3, 4]);
    proofs.remove(2);
    let chain = judged(proofs, SOON);
    let gaps: Vec<(Term, Term)> = chain.gaps().map(|(after, missing)| (after, missing.term)).collect();
    assert_eq!(gaps, [(Term(4), Term(3))]);
    assert_eq!(verdict(&chain), Verdict::Invalid);
    assert_eq!(chain.verdict(SIMULATED, true), Verdict::Valid);
    let tail = judged(chain_of(&[1, 2, 3]).split_off(1), SOON);
    assert!(matches!(tail.links[0].before, Some(Before::Begins(before)) if before.term == Term(1)));
    assert_eq!(verdict(&tail), Verdict::Valid);
}

#[test]
fn the_logs_of_two_nodes_fill_each_others_gaps() {
    let whole = chain_of(&[1, 2, 3, 4]);
    let one = entries(vec![whole[0].clone(), whole[1].clone(), whole[3].clone()]);
    let mut two = entries(vec![whole[0].clone(), whole[2].clone()]);
    two.iter_mut().for_each(|entry| entry.origin.source = "other".into());
    let electorates = vec![shared().electorate.clone()];
    let judge = Judge { electorates, moment: Moment::Now(SOON), accept: SIMULATED };
    let chain = examine([one, two].concat(), Some(&judge), |_, _| {});
    assert_eq!((verdict(&chain), chain.links.len()), (Verdict::Valid, 4), "{:?}", chain.alarms);
}

#[test]
fn two_certificates_of_one_term_are_a_fork() {
    let mut proofs = chain_of(&[1, 2]);
    let rival = Certificate { term: Term(2), leader: shared().ids()[1], ..shared().certificate() };
    proofs.push(shared().proof_of(&rival, 2));
    let chain = judged(proofs, SOON);
    assert!(matches!(&chain.alarms[..], [Alarm::Fork { term: Term(2), .. }]), "{:?}", chain.alarms);
    assert_eq!(chain.verdict(SIMULATED, true), Verdict::Invalid);
}

#[test]
fn a_fork_shows_in_what_a_later_certificate_names() {
    let proofs = chain_of(&[1, 2]);
    let rival = Certificate { term: Term(2), leader: shared().ids()[1], ..shared().certificate() };
    let rival = shared().proof_of(&rival, 2);
    let third = next(shared(), 3, Some(&rival), 2);
    let chain = judged([proofs, vec![third]].concat(), SOON);
    assert!(matches!(&chain.alarms[..], [Alarm::OtherPrevious { by: Term(3), .. }]), "{:?}", chain.alarms);
    assert_eq!(verdict(&chain), Verdict::Invalid);
}

#[test]
fn a_forged_certificate_is_invalid_and_raises_no_fork() {
    let mut proofs = chain_of(&[1, 2]);
    let rival = Certificate { term: Term(2), leader: shared().ids()[1], ..shared().certificate() };
    let mut rival = shared().proof_of(&rival, 2);
    rival.bundle.certificate.signature[9] ^= 1;
    proofs.push(rival);
    let chain = judged(proofs, SOON);
    assert!(chain.alarms.is_empty(), "{:?}", chain.alarms);
    let invalid: Vec<&Standing> = chain
        .links
        .iter()
        .map(|link| &link.standing)
        .filter(|one| matches!(one, Standing::Invalid { .. }))
        .collect();
    assert!(matches!(invalid[..], [Standing::Invalid { step, .. }] if step == "5"), "{invalid:?}");
    assert_eq!(verdict(&chain), Verdict::Invalid);
}

#[test]
fn a_certificate_without_promises_is_vouched_for_by_the_one_after_it_and_by_nothing_else() {
    let world = shared();
    let first = next(world, 1, None, 2);
    let hasty = next(world, 2, Some(&first), 0);
    let third = next(world, 3, Some(&hasty), 2);
    let chain = judged(vec![first.clone(), hasty.clone(), third], LATER);
    assert_eq!(verdict(&chain), Verdict::Valid, "{:?}", chain.links);
    assert!(matches!(chain.links[1].standing, Standing::Valid { vouched: Vouched::Successor, .. }));
    let unnamed = next(world, 3, Some(&first), 2);
    let mut forged = next(world, 3, Some(&hasty), 2);
    forged.bundle.certificate.signature[9] ^= 1;
    let unvouched = next(world, 3, Some(&hasty), 1);
    for third in [unnamed, forged, unvouched] {
        let chain = judged(vec![first.clone(), hasty.clone(), third], LATER);
        assert!(
            matches!(&chain.links[1].standing, Standing::Invalid { step, .. } if step == "9"),
            "{:?}",
            chain.links
        );
        assert_eq!(verdict(&chain), Verdict::Invalid);
    }
    assert_eq!(verdict(&judged(vec![first, hasty], SOON)), Verdict::Valid, "its document is good now");
}

#[test]
fn a_log_in_another_order_and_a_certificate_that_names_a_later_one_are_told() {
    let proofs = chain_of(&[1, 2, 3]);
    let swapped = vec![proofs[1].clone(), proofs[0].clone(), proofs[2].clone()];
    let chain = judged(swapped, SOON);
    assert!(matches!(&chain.alarms[..], [Alarm::Disorder { term: Term(1), .. }]), "{:?}", chain.alarms);
    assert_eq!(verdict(&chain), Verdict::Invalid);
    let backwards = next(shared(), 2, Some(&proofs[2]), 2);
    let chain = judged(vec![proofs[0].clone(), backwards], SOON);
    assert!(matches!(&chain.alarms[..], [Alarm::Impossible { term: Term(2), .. }]), "{:?}", chain.alarms);
}

#[test]
fn one_that_nobody_followed_is_passed_over_and_no_fault() {
    let first = next(shared(), 1, None, 2);
    let lost = next(shared(), 2, Some(&first), 2);
    let third = next(shared(), 3, Some(&first), 2);
    let chain = judged(vec![first, lost, third], SOON);
    let passed: Vec<bool> = chain.links.iter().map(|link| link.passed_over).collect();
    assert_eq!((verdict(&chain), passed), (Verdict::Valid, vec![false, true, false]));
}

#[test]
fn an_entry_that_came_twice_is_one_and_bad_promises_beside_good_ones_are_found() {
    let full = next(shared(), 1, None, 3);
    let mut bare = full.clone();
    bare.bundle.promises.clear();
    bare.bundle.document = shared().document();
    let chain = judged(vec![bare.clone(), full.clone(), bare, full.clone()], LATER);
    assert_eq!((chain.links.len(), verdict(&chain)), (1, Verdict::Valid));
    let mut bad = full.clone();
    bad.bundle.promises.swap(0, 1);
    let chain = judged(vec![full, bad], LATER);
    assert_eq!((chain.links.len(), verdict(&chain)), (1, Verdict::Invalid));
}

#[test]
fn certificates_of_another_manifest_count_only_if_it_is_given() {
    let mut later = crate::world::world();
    later.electorate.epoch = 2;
    later.electorate.cluster = shared().electorate.cluster;
    let first = next(shared(), 1, None, 2);
    let second = next(&later, 2, Some(&first), 2);
    let judge = |electorates| Judge { electorates, moment: Moment::Now(SOON), accept: SIMULATED };
    let (old, new) = (shared().electorate.clone(), later.electorate.clone());
    let proofs = || entries(vec![first.clone(), second.clone()]);
    let both = examine(proofs(), Some(&judge(vec![new.clone(), old])), |_, _| {});
    assert_eq!(verdict(&both), Verdict::Valid, "{:?}", both.links);
    let alone = examine(proofs(), Some(&judge(vec![new])), |_, _| {});
    assert!(
        matches!(&alone.links[0].standing, Standing::Invalid { step, .. } if step == "3"),
        "{:?}",
        alone.links
    );
}

#[test]
fn an_empty_log_proves_nothing_and_one_that_was_not_verified_neither() {
    assert_eq!(verdict(&judged(Vec::new(), SOON)), Verdict::Invalid);
    let unverified = examine(entries(chain_of(&[1, 2])), None, |_, _| {});
    assert_eq!(verdict(&unverified), Verdict::Invalid);
    assert!(
        unverified.links.iter().all(|link| link.standing == Standing::Unchecked && link.before.is_some())
    );
}
