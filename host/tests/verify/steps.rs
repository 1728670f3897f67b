//! Every check of a proof, by the number under which it fails.

use nitro_elect::proof_file::ProofFile;
use nitro_elect::verify::{Accept, Authority, Line, Moment, Question, Report, Status, Step, Verdict, verify};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::Check;
use nitro_elect_protocol::certificate::{Certificate, Vouching};
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::ids::{ClusterId, EnclaveId, Generation, NodeId, Nonce, Term};
use nitro_elect_protocol::time::Wall;
use std::time::Duration;

use crate::world::{LATER, MADE, SOON, World, shared, world};

const SIMULATED: Accept = Accept { debug: false, simulated: true, open: false };

fn authority(world: &World) -> Authority {
    Authority::Manifest(Box::new(world.electorate.clone()))
}

fn check(world: &World, proof: &ProofFile, now: Wall) -> Report {
    verify(proof, &authority(world), asked(now, None))
}

fn question(moment: Moment, accept: Accept) -> Question<'static> {
    Question { moment, nonce: None, accept }
}

fn asked(now: Wall, nonce: Option<&Nonce>) -> Question<'_> {
    Question { moment: Moment::Now(now), nonce, accept: SIMULATED }
}

fn line(report: &Report, step: Step) -> &Line {
    report.lines.iter().find(|line| line.step == step).expect("every check has a line")
}

/// Checks that the proof fails at this check for this reason, after passing those before and before those after.
fn fails(world: &World, proof: &ProofFile, now: Wall, step: Step, why: &str) {
    let report = check(world, proof, now);
    let failed = line(&report, step);
    assert_eq!((failed.status, report.verdict), (Status::Failed, Verdict::Invalid), "{:#?}", report.lines);
    assert!(failed.found.contains(why), "{}", failed.found);
    assert!(report.certificate.is_none());
    let (before, after): (Vec<&Line>, Vec<&Line>) =
        report.lines.iter().filter(|line| line.step != failed.step).partition(|line| line.step < failed.step);
    let passed = [Status::Passed, Status::NotAsked, Status::Expired];
    assert!(before.iter().all(|line| passed.contains(&line.status)), "{before:#?}");
    assert!(after.iter().all(|line| line.status == Status::NotReached), "{after:#?}");
    assert!(report.lines.iter().map(|line| line.step).eq(Step::all()), "every check has its line, in order");
}

/// The same for a certificate that the enclave was made to sign, changed in one thing.
fn certified_fails(change: impl FnOnce(&mut Certificate), step: Step, why: &str) {
    let mut certificate = shared().certificate();
    change(&mut certificate);
    fails(shared(), &shared().proof_of(&certificate, 0), SOON, step, why);
}

#[test]
fn a_proof_that_is_checked_in_time_passes_every_check_live() {
    let report = check(shared(), &shared().proof(3), SOON);
    assert_eq!(report.verdict, Verdict::Valid, "{:#?}", report.lines);
    let unusual = report.lines.iter().filter(|line| line.status != Status::Passed).map(|line| line.step);
    assert!(unusual.eq([Step::Attestation(Check::Nonce), Step::Lease, Step::Nonce]), "what nobody asked for");
    assert!(report.lines.iter().map(|line| line.step).eq(Step::all()));
    assert!(line(&report, Step::Attestation(Check::Root)).found.contains("SIMULATED"));
    assert!(line(&report, Step::Vouching).found.contains("attested now"));
    let certificate = report.certificate.unwrap();
    assert_eq!((certificate.assurance(), certificate.vouching()), (Assurance::Simulated, Vouching::Live));
}

#[test]
fn a_proof_needs_no_promises_while_its_document_is_live() {
    assert_eq!(check(shared(), &shared().proof(0), SOON).verdict, Verdict::Valid);
}

#[test]
fn an_expired_document_is_vouched_for_by_f_plus_one_promises_and_no_fewer() {
    let report = check(shared(), &shared().proof(2), LATER);
    assert_eq!(report.verdict, Verdict::Valid, "{:#?}", report.lines);
    for step in
        [Step::Attestation(Check::Dates), Step::Attestation(Check::Future), Step::Attestation(Check::Age)]
    {
        assert_eq!(line(&report, step).status, Status::Expired, "{step}");
    }
    assert!(
        line(&report, Step::Attestation(Check::Dates)).found.contains("was valid until"),
        "{:?}",
        line(&report, Step::Attestation(Check::Dates))
    );
    assert!(line(&report, Step::Vouching).found.contains("VOUCHED FOR by 2 voters"));
    assert_eq!(report.certificate.unwrap().vouching(), Vouching::Voters);
    fails(shared(), &shared().proof(1), LATER, Step::Vouching, "1 of 2 promises");
    fails(shared(), &shared().proof(0), LATER, Step::Vouching, "not vouched for");
}

#[test]
fn a_document_past_its_max_age_is_expired_though_its_leaf_is_not() {
    let report = check(shared(), &shared().proof(2), MADE + Duration::from_secs(2 * 3600 - 1));
    assert_eq!(line(&report, Step::Attestation(Check::Dates)).status, Status::Expired);
    assert!(
        line(&report, Step::Attestation(Check::Age)).found.contains("7199s old"),
        "{:?}",
        line(&report, Step::Attestation(Check::Age))
    );
    assert_eq!(report.verdict, Verdict::Valid);
}

#[test]
fn a_stated_time_is_taken_at_its_word_and_named_as_such() {
    let proof = shared().proof(0);
    let report = verify(&proof, &authority(shared()), question(Moment::Stated(SOON), SIMULATED));
    assert_eq!(report.verdict, Verdict::Valid);
    assert!(line(&report, Step::Vouching).found.contains("as the caller states"));
    let early = Moment::Stated(Wall(MADE.0 - 61_000));
    let report = verify(&proof, &authority(shared()), question(early, SIMULATED));
    assert_eq!(report.verdict, Verdict::Invalid);
}

#[test]
fn less_assurance_than_asked_for_is_said_and_nothing_else_lowers_the_demand() {
    let proof = shared().proof(0);
    for (accept, verdict) in [
        (Accept::default(), Verdict::LessAssurance),
        (Accept { debug: true, simulated: false, open: true }, Verdict::LessAssurance),
        (SIMULATED, Verdict::Valid),
    ] {
        let report = verify(&proof, &authority(shared()), question(Moment::Now(SOON), accept));
        assert_eq!(report.verdict, verdict);
        let passed = line(&report, Step::Assurance).status == Status::Passed;
        assert_eq!(passed, verdict == Verdict::Valid);
        assert!(report.certificate.is_some());
    }
}

#[test]
fn another_clusters_proof_is_called_that() {
    certified_fails(
        |certificate| certificate.cluster = ClusterId([9; 16]),
        Step::Cluster,
        "is of cluster 0909",
    );
    let mut other = world();
    other.electorate.cluster = ClusterId([9; 16]);
    fails(shared(), &other.proof(3), SOON, Step::Cluster, "is of cluster 0909");
}

#[test]
fn a_proof_over_another_electorate_of_the_same_cluster_is_called_that() {
    let mut other = world();
    other.electorate.trust = shared().electorate.trust.clone();
    other.electorate.epoch = 2;
    fails(shared(), &other.proof(3), SOON, Step::Electorate, "over electorate");
}

#[test]
fn an_enclave_under_another_root_is_refused() {
    let other = world();
    let mut proof = shared().proof(0);
    proof.bundle.document = other.document();
    fails(shared(), &proof, SOON, Step::Attestation(Check::Root), "not the pinned");
}

#[test]
fn a_document_of_another_enclave_is_refused() {
    certified_fails(
        |certificate| certificate.enclave = EnclaveId([1; 32]),
        Step::Attestation(Check::EnclaveId),
        "not of the claimed",
    );
}

#[test]
fn a_document_from_the_future_is_refused_and_not_vouched_for() {
    let proof = shared().proof(4);
    fails(shared(), &proof, Wall(MADE.0 - 61_000), Step::Attestation(Check::Dates), "compare the clocks");
}

#[test]
fn a_certificate_that_the_enclave_did_not_sign_is_refused() {
    let mut proof = shared().proof(0);
    let other = shared().sign(&Certificate { term: Term(8), ..shared().certificate() });
    proof.bundle.certificate.signature = other.signature;
    fails(shared(), &proof, SOON, Step::Signature, "does not verify");
}

#[test]
fn what_the_certificate_says_must_follow_the_rules() {
    let stranger = NodeKey::from_seed([99; 32]).id();
    certified_fails(|certificate| certificate.version = 2, Step::Structure, "version 2");
    certified_fails(|certificate| certificate.term = Term(0), Step::Structure, "outside 1 to");
    certified_fails(|certificate| certificate.term = Term(1 << 53), Step::Structure, "outside 1 to");
    certified_fails(
        |certificate| certificate.signers.truncate(2),
        Step::Quorum,
        "fewer than the quorum of 3",
    );
    certified_fails(|certificate| certificate.signers.swap(0, 1), Step::Quorum, "not a sorted set");
    certified_fails(
        |certificate| certificate.signers = doubled(&certificate.signers),
        Step::Quorum,
        "not a sorted set",
    );
    certified_fails(|certificate| certificate.active = vec![stranger], Step::Quorum, "active are not");
    certified_fails(
        |certificate| certificate.candidates = certificate.candidates[1..].to_vec(),
        Step::Leader,
        "candidates",
    );
    certified_fails(
        |certificate| certificate.signers = certificate.signers[1..].to_vec(),
        Step::Leader,
        "signers",
    );
    certified_fails(|certificate| certificate.leader = stranger, Step::Leader, "is not among");
    certified_fails(|certificate| certificate.coordinator = stranger, Step::Leader, "is not a voter");
}

fn doubled(ids: &[NodeId]) -> Vec<NodeId> {
    vec![ids[0], ids[0], ids[1], ids[2]]
}

#[test]
fn a_promise_that_is_not_right_spoils_the_proof_live_or_not() {
    let world = shared();
    for now in [SOON, LATER] {
        let mut proof = world.proof(3);
        proof.bundle.promises.swap(0, 1);
        fails(world, &proof, now, Step::Promises, "not in the order of voters");
        let mut proof = world.proof(3);
        proof.bundle.promises[1] = proof.bundle.promises[0].clone();
        fails(world, &proof, now, Step::Promises, "or doubled");
        let mut proof = world.proof(3);
        let other = Certificate { leader_generation: Generation(4), ..world.certificate() };
        proof.bundle.promises[2] = world.promise(2, &world.sign(&other));
        fails(world, &proof, now, Step::Promises, "promise 2: its generation is not the certificate's");
        let mut proof = world.proof(3);
        proof.bundle.promises[2] = world.promise(2, &world.sign(&world.certificate()));
        assert_eq!(
            check(world, &proof, now).verdict,
            Verdict::Valid,
            "another signature, the same certificate"
        );
    }
}

#[test]
fn promises_of_strangers_vouch_for_nothing() {
    let mut other = world();
    other.voters = (11..15).map(|seed| NodeKey::from_seed([seed; 32])).collect();
    other.voters.sort_by_key(NodeKey::id);
    let mut proof = shared().proof(0);
    proof.bundle.promises = (0..3).map(|voter| other.promise(voter, &proof.bundle.certificate)).collect();
    fails(shared(), &proof, LATER, Step::Promises, "who is not a voter");
}

#[test]
fn an_open_clusters_proof_brings_its_electorate_and_is_worth_open() {
    let world = World::opened();
    let authority = Authority::Open(Box::new(world.electorate.trust.clone()));
    let open = Accept { debug: false, simulated: false, open: true };
    for (accept, verdict) in [
        (open, Verdict::Valid),
        (SIMULATED, Verdict::LessAssurance),
        (Accept::default(), Verdict::LessAssurance),
    ] {
        let report = verify(&world.proof(0), &authority, question(Moment::Now(SOON), accept));
        assert_eq!(report.verdict, verdict, "{:#?}", report.lines);
        assert_eq!(report.certificate.unwrap().assurance(), Assurance::Open);
    }
}

#[test]
fn an_open_clusters_proof_names_no_enclaves_of_its_own() {
    let (world, other) = (World::opened(), World::opened());
    let authority = Authority::Open(Box::new(other.electorate.trust.clone()));
    let report = verify(&world.proof(0), &authority, question(Moment::Now(SOON), SIMULATED));
    assert_eq!((report.verdict, line(&report, Step::Electorate).status), (Verdict::Invalid, Status::Failed));
}

#[test]
fn a_manifest_and_an_open_proof_do_not_go_together() {
    let open = World::opened();
    fails(shared(), &open.proof(0), SOON, Step::Cluster, "an open cluster's");
    let authority = Authority::Open(Box::new(shared().electorate.trust.clone()));
    let report = verify(&shared().proof(0), &authority, question(Moment::Now(SOON), SIMULATED));
    assert_eq!(line(&report, Step::Cluster).status, Status::Failed);
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_noticed() {
    let world = shared();
    let text = world.proof(2).to_text().into_bytes();
    let noticed = |byte: usize, bit: usize| {
        let mut changed = text.clone();
        changed[byte] ^= 1 << bit;
        let read = String::from_utf8(changed).ok().and_then(|text| ProofFile::parse(&text).ok());
        read.is_none_or(|proof| check(world, &proof, SOON).verdict == Verdict::Invalid)
    };
    // Every byte is touched over time: a prime step through the file, another bit at each stop.
    for (stop, byte) in (0..text.len()).step_by(11).enumerate() {
        assert!(noticed(byte, stop % 8), "byte {byte}, bit {}", stop % 8);
    }
}

/// My nonce, and two of others.
fn nonces() -> Vec<Nonce> {
    vec![Nonce([1; 32]), Nonce([2; 32]), Nonce([3; 32])]
}

#[test]
fn a_lease_that_answers_my_nonce_passes_every_check_and_says_how_long_it_holds() {
    let proof = shared().lease_proof(3, nonces());
    let report = verify(&proof, &authority(shared()), asked(SOON, Some(&Nonce([2; 32]))));
    assert_eq!(report.verdict, Verdict::Valid, "{:#?}", report.lines);
    assert!(line(&report, Step::Lease).found.contains("3 voters in renewal 9"));
    assert!(line(&report, Step::Nonce).found.contains("980 ms after you drew the nonce"));
    let lease = report.lease.unwrap();
    assert_eq!((lease.leader, lease.term), (shared().voters[0].id(), Term(7)));
}

#[test]
fn a_lease_that_is_short_of_voters_or_of_my_nonce_fails_there() {
    let table = [
        (shared().lease_proof(2, nonces()), Step::Lease, "fewer than the quorum"),
        (shared().lease_proof(3, vec![Nonce([1; 32])]), Step::Nonce, "not under the challenge"),
        (shared().proof(3), Step::Lease, "answers no nonce"),
    ];
    for (proof, step, why) in table {
        let report = verify(&proof, &authority(shared()), asked(SOON, Some(&Nonce([2; 32]))));
        let failed = line(&report, step);
        assert_eq!(
            (failed.status, report.verdict),
            (Status::Failed, Verdict::Invalid),
            "{:#?}",
            report.lines
        );
        assert!(failed.found.contains(why), "{}", failed.found);
    }
}

#[test]
fn a_lease_under_other_nonces_than_its_voters_signed_is_refused() {
    let mut proof = shared().lease_proof(3, nonces());
    proof.lease.as_mut().unwrap().nonces.pop();
    let report = verify(&proof, &authority(shared()), asked(SOON, None));
    assert_eq!((line(&report, Step::Lease).status, report.verdict), (Status::Failed, Verdict::Invalid));
}
