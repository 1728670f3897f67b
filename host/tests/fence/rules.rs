//! What admits a leader, check by check, on virtual time.

use nitro_elect::fence::{Rules, Stale, Standing};
use nitro_elect::proof_file::ProofFile;
use nitro_elect::verify::{Accept, Authority, Step};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::Certificate;
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::ids::{ClusterId, NodeId, Nonce, Term};
use nitro_elect_protocol::time::{Boot, Now, Wall};
use std::time::Duration;

use crate::world::{LATER, SOON, World, shared, world};

const SIMULATED: Accept = Accept { debug: false, simulated: true, open: false };
const NONCE: Nonce = Nonce([1; 32]);
const DRAWN: Boot = Boot(5_000_000_000);
/// A lease of 1 s less its margin.
const USABLE: Duration = Duration::from_millis(980);

fn rules(world: &World) -> Rules {
    let mut rules = Rules::new(vec![Authority::Manifest(Box::new(world.electorate.clone()))], SIMULATED);
    rules.note(NONCE, DRAWN);
    rules
}

fn leader() -> NodeId {
    shared().voters[0].id()
}

fn after(span: Duration) -> Now {
    Now { boot: DRAWN + span, wall: SOON }
}

fn at_once() -> Now {
    after(Duration::from_millis(1))
}

/// What fresh rules say of a proof that the leader presents at once.
fn judge(proof: &ProofFile) -> Result<Standing, Stale> {
    rules(shared()).judge(proof, Some(leader()), Term(0), at_once())
}

fn good() -> ProofFile {
    shared().lease_proof(3, vec![NONCE])
}

fn in_term(term: u64) -> Certificate {
    Certificate { term: Term(term), ..shared().certificate() }
}

/// The check that a proof fails at.
fn fails_at(proof: &ProofFile) -> Step {
    match judge(proof).unwrap_err() {
        Stale::Proof { step, .. } => step,
        other => panic!("{other}"),
    }
}

#[test]
fn a_leader_is_admitted_until_a_lease_less_margin_after_the_nonce_was_drawn() {
    let standing = judge(&good()).unwrap();
    assert_eq!(
        standing,
        Standing { term: Term(7), leader: leader(), until: DRAWN + USABLE, assurance: Assurance::Simulated }
    );
    let mut rules = rules(shared());
    let last = after(USABLE - Duration::from_nanos(1));
    assert!(rules.judge(&good(), Some(leader()), Term(7), last).is_ok());
    let over = rules.judge(&good(), Some(leader()), Term(7), after(USABLE + Duration::from_millis(3)));
    assert!(matches!(over, Err(Stale::TooOld { over }) if over == Duration::from_millis(3)));
}

#[test]
fn of_several_own_nonces_the_latest_counts() {
    let mut rules = rules(shared());
    let (later, drawn) = (Nonce([2; 32]), DRAWN + Duration::from_millis(400));
    rules.note(later, drawn);
    let proof = shared().lease_proof(3, vec![NONCE, later, Nonce([3; 32])]);
    let now = after(Duration::from_millis(1200));
    assert_eq!(rules.judge(&proof, Some(leader()), Term(0), now).unwrap().until, drawn + USABLE);
}

#[test]
fn a_replayed_proof_answers_none_of_the_own_nonces() {
    let others = shared().lease_proof(3, vec![Nonce([9; 32])]);
    assert!(matches!(judge(&others), Err(Stale::NotMyNonce)));
    let nobodys = shared().lease_proof(3, vec![]);
    assert!(matches!(judge(&nobodys), Err(Stale::NotMyNonce)));
}

#[test]
fn a_nonce_slipped_into_somebody_elses_proof_does_not_give_its_challenge() {
    let mut proof = shared().lease_proof(3, vec![Nonce([9; 32])]);
    proof.lease.as_mut().unwrap().nonces = vec![NONCE, Nonce([9; 32])];
    assert_eq!(fails_at(&proof), Step::Lease);
}

#[test]
fn fewer_promises_than_a_quorum_doubled_or_mixed_ones_admit_nobody() {
    assert_eq!(fails_at(&shared().lease_proof(2, vec![NONCE])), Step::Lease);
    let mut doubled = good();
    let promises = &mut doubled.lease.as_mut().unwrap().promises;
    promises[2] = promises[1].clone();
    assert_eq!(fails_at(&doubled), Step::Lease);
    let mut mixed = good();
    let other = shared().promise(2, &mixed.bundle.certificate);
    mixed.lease.as_mut().unwrap().promises[2] = other;
    assert_eq!(fails_at(&mixed), Step::Lease);
}

#[test]
fn a_forged_certificate_is_named_by_its_check() {
    let mut forged = good();
    let last = forged.bundle.certificate.signature.len() - 1;
    forged.bundle.certificate.signature[last] ^= 1;
    assert_eq!(fails_at(&forged), Step::Signature);
    let elsewhere = world();
    assert!(matches!(fails_at(&elsewhere.lease_proof(3, vec![NONCE])), Step::Electorate), "other enclaves");
}

#[test]
fn another_cluster_is_refused_though_its_voters_are_the_same() {
    let other = shared().certificate();
    let proof =
        shared().lease_proof_of(&Certificate { cluster: ClusterId([0xd2; 16]), ..other }, 3, vec![NONCE]);
    assert_eq!(fails_at(&proof), Step::Cluster);
}

#[test]
fn who_was_elected_is_not_who_leads() {
    assert!(matches!(judge(&shared().proof(3)), Err(Stale::NoLease)));
}

#[test]
fn a_proof_that_somebody_else_presents_admits_nobody() {
    let thief = shared().voters[1].id();
    let stolen = rules(shared()).judge(&good(), Some(thief), Term(0), at_once());
    assert!(
        matches!(stolen, Err(Stale::OtherPresenter { leader: found, presenter }) if found == leader() && presenter == thief)
    );
    assert!(rules(shared()).judge(&good(), None, Term(0), at_once()).is_ok(), "it still says who leads");
}

#[test]
fn a_lower_term_than_was_admitted_is_over_and_the_same_goes_on() {
    let mut rules = rules(shared());
    assert!(rules.judge(&good(), Some(leader()), Term(7), at_once()).is_ok());
    let lower = rules.judge(&good(), Some(leader()), Term(8), at_once());
    assert!(matches!(lower, Err(Stale::LowerTerm { term: Term(7), highest: Term(8) })));
    let higher = shared().lease_proof_of(&in_term(9), 3, vec![NONCE]);
    assert_eq!(rules.judge(&higher, Some(leader()), Term(8), at_once()).unwrap().term, Term(9));
}

#[test]
fn less_than_attested_is_refused_unless_the_caller_says_so() {
    let authority = Authority::Manifest(Box::new(shared().electorate.clone()));
    let mut strict = Rules::new(vec![authority], Accept::default());
    strict.note(NONCE, DRAWN);
    for _ in 0..2 {
        let refused = strict.judge(&good(), Some(leader()), Term(0), at_once());
        assert!(matches!(refused, Err(Stale::Assurance { found: Assurance::Simulated })));
    }
}

#[test]
fn an_open_cluster_needs_its_callers_word() {
    let world = World::opened();
    let proof = world.lease_proof(4, vec![NONCE]);
    let authority = || Authority::Open(Box::new(world.electorate.trust.clone()));
    for (accept, admitted) in [(SIMULATED, false), (Accept { open: true, ..SIMULATED }, true)] {
        let mut rules = Rules::new(vec![authority()], accept);
        rules.note(NONCE, DRAWN);
        let judged = rules.judge(&proof, Some(world.voters[0].id()), Term(0), at_once());
        assert_eq!(judged.is_ok(), admitted, "{judged:?}");
    }
}

#[test]
fn a_certificate_that_was_believed_once_outlives_its_enclaves_document() {
    let late = |wall: Wall| Now { wall, ..at_once() };
    let mut rules = rules(shared());
    let unknown = rules.judge(&good(), Some(leader()), Term(0), late(LATER)).unwrap_err();
    assert!(matches!(unknown, Stale::Proof { step: Step::Vouching, .. }), "{unknown}");
    rules.judge(&good(), Some(leader()), Term(0), late(SOON)).unwrap();
    rules.judge(&good(), Some(leader()), Term(0), late(LATER)).unwrap();
}

#[test]
fn the_promises_of_a_known_certificate_are_still_checked() {
    let mut rules = rules(shared());
    rules.judge(&good(), Some(leader()), Term(0), at_once()).unwrap();
    for bad in [shared().lease_proof(2, vec![NONCE]), shared().lease_proof(3, vec![Nonce([9; 32])])] {
        assert!(rules.judge(&bad, Some(leader()), Term(0), at_once()).is_err());
    }
}

#[test]
fn while_a_manifest_is_replaced_both_electorates_count() {
    let (old, new) = (shared(), world());
    let authorities = [old, &new].map(|world| Authority::Manifest(Box::new(world.electorate.clone())));
    let mut rules = Rules::new(authorities.into(), SIMULATED);
    rules.note(NONCE, DRAWN);
    for world in [old, &new, old] {
        let proof = world.lease_proof(3, vec![NONCE]);
        rules.judge(&proof, Some(leader()), Term(0), at_once()).unwrap();
    }
}

#[test]
fn the_oldest_nonce_is_forgotten_when_too_many_are_drawn() {
    let mut rules = rules(shared());
    for number in 0..1024u32 {
        let mut nonce = [7; 32];
        nonce[..4].copy_from_slice(&number.to_be_bytes());
        rules.note(Nonce(nonce), DRAWN);
    }
    assert!(matches!(rules.judge(&good(), Some(leader()), Term(0), at_once()), Err(Stale::NotMyNonce)));
}
