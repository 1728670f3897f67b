//! The fence as a program opens it: what is durable, and what passes while terms change.

use nitro_elect::clock;
use nitro_elect::fence::{Fence, Stale, StateError};
use nitro_elect::verify::{Accept, Authority};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::Certificate;
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::ids::{NodeId, Nonce, Term};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::world::{World, shared};

const SIMULATED: Accept = Accept { debug: false, simulated: true, open: false };

fn fence(dir: &Path) -> Fence {
    let authority = Authority::Manifest(Box::new(shared().electorate.clone()));
    Fence::open(dir, authority, SIMULATED).unwrap()
}

/// A proof of the present day in this term, under a nonce.
fn proof(term: u64, nonce: Nonce) -> nitro_elect::proof_file::ProofFile {
    let world: &World = shared();
    let certificate = Certificate { term: Term(term), ..world.certificate() };
    let mut proof = world.lease_proof_of(&certificate, 3, vec![nonce]);
    proof.bundle.document = world.proof_made(clock::wall(), 0).bundle.document;
    proof
}

#[test]
fn one_term_admits_one_leader_though_partitions_of_an_open_cluster_use_it_twice() {
    let (home, world) = (tempfile::tempdir().unwrap(), World::opened());
    let authority = Authority::Open(Box::new(world.electorate.trust.clone()));
    let fence = Fence::open(home.path(), authority, Accept { open: true, ..Accept::default() }).unwrap();
    let present = |voter: usize| {
        let leader = world.voters[voter].id();
        let mut proof = world.lease_proof_of(
            &Certificate { leader, ..world.certificate() },
            world.voters.len(),
            vec![fence.draw()],
        );
        proof.bundle.document = world.proof_made(clock::wall(), 0).bundle.document;
        fence.admit(&proof, leader)
    };
    let first = present(0).unwrap();
    assert_eq!(first.assurance(), Assurance::Open);
    assert!(matches!(present(1), Err(Stale::OtherLeader { term: Term(7) })));
    assert_eq!(present(0).unwrap().act(|| "written").unwrap(), "written");
}

fn leader() -> NodeId {
    shared().voters[0].id()
}

#[test]
fn the_highest_term_outlives_the_process_and_lower_ones_stay_out() {
    let home = tempfile::tempdir().unwrap();
    let first = fence(home.path());
    let admitted = first.admit(&proof(9, first.draw()), leader()).unwrap();
    assert_eq!((admitted.term(), admitted.leader(), first.highest()), (Term(9), leader(), Term(9)));
    assert!(admitted.remaining() > Duration::ZERO);
    let authority = Authority::Manifest(Box::new(shared().electorate.clone()));
    let second = Fence::open(home.path(), authority, SIMULATED);
    assert!(matches!(second, Err(StateError::Locked { .. })), "one fence a resource");
    drop((first, admitted));
    let next = fence(home.path());
    assert_eq!(next.highest(), Term(9));
    let lower = next.admit(&proof(8, next.draw()), leader());
    assert!(matches!(lower, Err(Stale::LowerTerm { term: Term(8), highest: Term(9) })));
    next.admit(&proof(9, next.draw()), leader()).unwrap();
}

#[test]
fn a_term_that_cannot_be_written_down_is_not_admitted() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("fence");
    let fence = fence(&dir);
    std::fs::rename(&dir, home.path().join("away")).unwrap();
    assert!(matches!(fence.admit(&proof(9, fence.draw()), leader()), Err(Stale::NotDurable(_))));
    assert_eq!(fence.highest(), Term(0));
    std::fs::rename(home.path().join("away"), &dir).unwrap();
    fence.admit(&proof(9, fence.draw()), leader()).unwrap();
}

#[test]
fn a_higher_term_ends_the_leave_of_a_lower_one() {
    let home = tempfile::tempdir().unwrap();
    let fence = fence(home.path());
    let old = fence.admit(&proof(7, fence.draw()), leader()).unwrap();
    assert_eq!(old.act(|| 1).unwrap(), 1);
    let new = fence.admit(&proof(8, fence.draw()), leader()).unwrap();
    assert_eq!(old.remaining(), Duration::ZERO);
    let refused = old.act(|| panic!("work of a term that is over"));
    assert!(matches!(refused, Err(Stale::LowerTerm { .. })));
    assert_eq!(new.act(|| 2).unwrap(), 2);
}

#[test]
fn no_higher_term_is_admitted_while_work_of_a_lower_one_runs() {
    let home = tempfile::tempdir().unwrap();
    let fence = fence(home.path());
    let old = fence.admit(&proof(7, fence.draw()), leader()).unwrap();
    let (began, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let (order, happened) = mpsc::channel();
    let told = order.clone();
    let working = thread::spawn(move || {
        old.act(|| {
            began.send(()).unwrap();
            may_go_on.recv().unwrap();
            told.send("worked").unwrap();
        })
    });
    has_begun.recv().unwrap();
    let admitting = thread::spawn(move || {
        let admitted = fence.admit(&proof(8, fence.draw()), leader());
        order.send("admitted").unwrap();
        admitted.map(|admitted| admitted.term())
    });
    assert!(happened.recv_timeout(Duration::from_millis(100)).is_err(), "neither is over");
    go_on.send(()).unwrap();
    working.join().unwrap().unwrap();
    assert_eq!(admitting.join().unwrap().unwrap(), Term(8));
    assert_eq!(happened.iter().collect::<Vec<_>>(), ["worked", "admitted"]);
}

#[test]
fn a_leave_ends_by_the_clock_alone() {
    let home = tempfile::tempdir().unwrap();
    let fence = fence(home.path());
    let admitted = fence.admit(&proof(7, fence.draw()), leader()).unwrap();
    thread::sleep(admitted.remaining());
    assert_eq!(admitted.remaining(), Duration::ZERO);
    assert!(matches!(admitted.act(|| ()), Err(Stale::TooOld { .. })));
}
