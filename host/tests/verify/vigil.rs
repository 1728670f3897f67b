//! Watching through nodes that lie: only what was verified is told, and every lie is called what it is.

use crate::world::{MADE, World, shared, world};
use nitro_elect::proof_file::ProofFile;
use nitro_elect::verify::Accept;
use nitro_elect::verify::vigil::{Change, Leads, Lie, Vigil};
use nitro_elect_protocol::certificate::Certificate;
use nitro_elect_protocol::ids::{Nonce, Term};
use nitro_elect_protocol::time::{Boot, Now};
use std::time::Duration;

const NONCE: Nonce = Nonce([7; 32]);
const SIMULATED: Accept = Accept { debug: false, simulated: true, open: false };

/// This many milliseconds after the watcher began; the document is good for all of them.
fn at(ms: u64) -> Now {
    let passed = Duration::from_millis(ms);
    Now { boot: Boot(1_000_000_000) + passed, wall: MADE + passed }
}

fn vigil() -> Vigil {
    Vigil::new(shared().electorate.clone(), SIMULATED)
}

/// The text of a proof that answers the nonce, for this term.
fn proof(world: &World, term: u64, nonce: Nonce) -> String {
    let certificate = Certificate { term: Term(term), ..world.certificate() };
    world.lease_proof_of(&certificate, 3, vec![nonce]).to_text()
}

fn answered(vigil: &mut Vigil, text: &str, ms: u64) -> Vec<Change> {
    vigil.answered(text, &NONCE, at(ms).boot, at(ms + 1))
}

fn lies(changes: &[Change]) -> Lie {
    match changes {
        [Change::Lied(lie)] => *lie,
        other => panic!("no lie: {other:?}"),
    }
}

#[test]
fn a_verified_lease_is_told_once_and_lasts_from_when_the_nonce_was_drawn() {
    let mut vigil = vigil();
    let text = proof(shared(), 7, NONCE);
    let changes = vigil.answered(&text, &NONCE, at(0).boot, at(300));
    let [Change::Leads(leads)] = changes[..] else { panic!("{changes:?}") };
    assert_eq!((leads.term, leads.leader), (Term(7), shared().voters_leader()));
    assert_eq!(leads.until, at(980).boot, "2 % less than the lease, from the draw");
    assert!(answered(&mut vigil, &text, 400).is_empty(), "nothing has changed");
    assert_eq!(vigil.until(), Some(at(1380).boot));
    assert_eq!(vigil.ended(at(1379).boot), None);
    assert!(matches!(vigil.ended(at(1380).boot), Some(Change::Over(Leads { term: Term(7), .. }))));
    assert_eq!(vigil.ended(at(1381).boot), None);
}

#[test]
fn an_answer_that_comes_after_its_lease_shows_no_leader() {
    let mut vigil = vigil();
    let changes = vigil.answered(&proof(shared(), 7, NONCE), &NONCE, at(0).boot, at(980));
    assert!(changes.is_empty() && vigil.until().is_none(), "{changes:?}");
    assert!(matches!(lies(&answered(&mut vigil, &proof(shared(), 6, NONCE), 1000)), Lie::LowerTerm { .. }));
}

#[test]
fn a_replayed_proof_is_called_old() {
    let mut vigil = vigil();
    let old = proof(shared(), 7, Nonce([6; 32]));
    assert_eq!(lies(&answered(&mut vigil, &old, 0)), Lie::Replayed);
    assert_eq!(vigil.until(), None);
    assert!(answered(&mut vigil, &old, 300).is_empty(), "told once, while it lasts");
}

#[test]
fn a_lower_term_than_one_that_was_verified_is_refused() {
    let mut vigil = vigil();
    answered(&mut vigil, &proof(shared(), 7, NONCE), 0);
    let lie = lies(&answered(&mut vigil, &proof(shared(), 6, NONCE), 100));
    assert_eq!(lie, Lie::LowerTerm { shown: Term(6), highest: Term(7) });
    assert_eq!(vigil.until(), Some(at(980).boot), "what was verified stays verified until it is over");
}

#[test]
fn forged_and_foreign_proofs_are_called_that() {
    let mut forged = shared().lease_proof(3, vec![NONCE]);
    forged.bundle.certificate.signature[5] ^= 1;
    assert_eq!(lies(&answered(&mut vigil(), &forged.to_text(), 0)), Lie::Forged);
    let mut other = world();
    other.electorate.cluster.0[0] ^= 1;
    assert_eq!(lies(&answered(&mut vigil(), &proof(&other, 7, NONCE), 0)), Lie::OtherCluster);
    let mut changed = world();
    changed.electorate.epoch += 1;
    assert_eq!(lies(&answered(&mut vigil(), &proof(&changed, 7, NONCE), 0)), Lie::OtherElectorate);
    let mut swapped = shared().lease_proof(3, vec![NONCE]);
    swapped.bundle.document = world().document();
    assert!(matches!(lies(&answered(&mut vigil(), &swapped.to_text(), 0)), Lie::Enclave(_)));
    for text in ["", "{}", "null", &shared().lease_proof(3, vec![NONCE]).to_line()] {
        assert_eq!(lies(&answered(&mut vigil(), text, 0)), Lie::NoProof);
    }
}

#[test]
fn too_few_promises_and_a_certificate_without_a_lease_are_no_lease() {
    let few = shared().lease_proof(2, vec![NONCE]).to_text();
    let bare = ProofFile { lease: None, ..shared().lease_proof(3, vec![NONCE]) }.to_text();
    for text in [few, bare] {
        let lie = lies(&answered(&mut vigil(), &text, 0));
        assert!(lie.to_string().contains("fails check 10"), "{lie}");
    }
}

#[test]
fn no_lie_carries_what_the_node_wrote() {
    let mut world = world();
    world.electorate.name = "EVIL".into();
    let text = proof(&world, 7, NONCE).replace("nitro-elect/v1/proof", "EVIL");
    for text in [text, "EVIL".into(), proof(&world, 7, NONCE)] {
        let lie = lies(&answered(&mut vigil(), &text, 0));
        assert!(!lie.to_string().contains("EVIL"), "{lie}");
    }
}

#[test]
fn less_than_attested_is_told_and_shows_no_leader() {
    let mut vigil = Vigil::new(shared().electorate.clone(), Accept::default());
    let changes = answered(&mut vigil, &proof(shared(), 7, NONCE), 0);
    assert!(matches!(changes[..], [Change::LessAssurance(_)]), "{changes:?}");
    assert_eq!(vigil.until(), None);
}

#[test]
fn silence_is_told_once_and_the_lease_ends_in_it() {
    let mut vigil = vigil();
    answered(&mut vigil, &proof(shared(), 7, NONCE), 0);
    assert!(matches!(vigil.silent("away", at(500).boot)[..], [Change::NoProof { .. }]));
    assert_eq!(vigil.silent("away", at(600).boot), []);
    assert!(matches!(vigil.silent("away", at(990).boot)[..], [Change::Over(_)]));
    let back = answered(&mut vigil, &proof(shared(), 8, NONCE), 2000);
    assert!(matches!(back[..], [Change::Leads(Leads { term: Term(8), .. })]), "{back:?}");
}
