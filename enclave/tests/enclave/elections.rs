//! Elections: which views count, what a certificate says, and that there is one a term.

use nitro_elect_enclave::attestor::Attestor;
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::certificate::{Certificate, DOMAIN, Reason, SignedCertificate, SkipCode, Skipped};
use nitro_elect_protocol::crypto::{Crypto, Ring};
use nitro_elect_protocol::electorate::VERSION;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{CertificateDigest, ClusterId, ElectorateDigest, EnclaveId};
use nitro_elect_protocol::ids::{Generation, NodeId, Signature, Term};
use nitro_elect_protocol::limits::{EVIDENCE_MAX, MESSAGE_MAX, TERM_MAX};
use nitro_elect_protocol::peer::seal_envelope;
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::statement::{Signed, signing_input};
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::view::{Accepted, View};
use nitro_elect_protocol::{certificate::VIEWS_MAX, codec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use crate::cluster::{Cluster, GENERATION};
use crate::module::{TestClock, Unsigning, Watch, attestor, keys, service};

fn elected<A: Attestor>(service: &Service<A>, request: Request) -> (Certificate, Vec<Evidence>) {
    match service.answer(request) {
        Response::Elected { certificate, evidence } => (certificate.peek().unwrap(), evidence),
        other => panic!("not elected: {other:?}"),
    }
}

fn refused<A: Attestor>(service: &Service<A>, request: Request) -> EnclaveRefusal {
    match service.answer(request) {
        Response::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn latest<A: Attestor>(service: &Service<A>, cluster: &Cluster) -> Result<SignedCertificate, EnclaveRefusal> {
    match service.answer(Request::Latest { electorate: cluster.electorate.digest() }) {
        Response::Latest { certificate } => Ok(certificate),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("no answer to Latest: {other:?}"),
    }
}

#[test]
fn a_quorum_elects_a_leader_and_the_certificate_says_how() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let previous =
        Accepted { term: Term(6), leader: cluster.node(2), certificate: CertificateDigest([6; 32]) };
    let mut views = cluster.views(7, [0]);
    views.extend(
        [1, 2].map(|voter| cluster.sealed(View { accepted: Some(previous), ..cluster.view(7, voter) })),
    );
    let (certificate, evidence) = elected(&service, cluster.request(7, views));
    let all: Vec<NodeId> = (0..4).map(|voter| cluster.node(voter)).collect();
    let expected = Certificate {
        version: VERSION,
        cluster: cluster.electorate.cluster,
        electorate: cluster.electorate.digest(),
        enclave: keys(0).enclave(),
        term: Term(7),
        coordinator: cluster.node(0),
        coordinator_generation: GENERATION,
        leader: cluster.node(2),
        leader_generation: Generation(12),
        active: all.clone(),
        candidates: all[..3].to_vec(),
        signers: all[..3].to_vec(),
        skipped: Vec::new(),
        reason: Reason::Incumbent,
        previous: Some(previous),
        not_after: Wall(1_700_000_000_001 + 1_000),
    };
    assert_eq!((certificate, evidence), (expected, Vec::new()));
}

#[test]
fn the_certificate_is_signed_by_the_attested_key_in_its_own_domain() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let answer = service.answer(cluster.request(1, cluster.views(1, [0, 1, 2])));
    let Response::Elected { certificate, .. } = answer else { panic!("not elected: {answer:?}") };
    let spki = keys(0).claims().public_key;
    let verify = |input: &[u8]| Ring.verify_enclave_signature(&spki, input, &certificate.signature);
    assert!(verify(&signing_input(DOMAIN, &certificate.bytes)).is_ok());
    assert!(verify(&certificate.bytes).is_err());
    assert_eq!(latest(&service, &cluster), Ok(certificate));
}

/// Every way in which a view of voter 3 can be bad, with the code it is skipped with.
fn bad_views(cluster: &Cluster, term: u64) -> Vec<(&'static str, SealedView, SkipCode)> {
    let view = || cluster.view(term, 3);
    let forged = Signed::<View>::from_parts(codec::encode(&view()), Signature([1; 64]));
    let stranger = Cluster::new(5, 1);
    let outsider = (0..5).find(|voter| !cluster.electorate.contains(&stranger.node(*voter))).unwrap();
    let seal_signed = |signed: &Signed<View>| cluster.seal(term, &codec::encode(signed));
    let other = |view: View| seal_signed(&cluster.sign(view));
    let unsorted: Vec<NodeId> = view().active.into_iter().rev().collect();
    let doubled: Vec<NodeId> = view().active.into_iter().flat_map(|node| [node, node]).collect();
    vec![
        ("random bytes", SealedView(vec![7; 500]), SkipCode::NotOpened),
        ("too short", SealedView(vec![7; 10]), SkipCode::NotOpened),
        ("sealed for another term", cluster.sealed(cluster.view(term + 1, 3)), SkipCode::NotOpened),
        ("larger than any view", SealedView(vec![7; 10_000]), SkipCode::Malformed),
        ("sealed garbage", cluster.seal(term, b"garbage"), SkipCode::Malformed),
        ("a view without a signature", cluster.seal(term, &codec::encode(&view())), SkipCode::Malformed),
        ("a forged signature", seal_signed(&forged), SkipCode::BadSignature),
        ("a stranger's", seal_signed(&stranger.sign(stranger.view(term, outsider))), SkipCode::NotAVoter),
        ("another term inside", other(View { term: Term(term + 1), ..view() }), SkipCode::OtherElection),
        ("another cluster", other(View { cluster: ClusterId([1; 16]), ..view() }), SkipCode::OtherElection),
        (
            "another electorate",
            other(View { electorate: ElectorateDigest([1; 32]), ..view() }),
            SkipCode::OtherElection,
        ),
        ("another enclave", other(View { enclave: EnclaveId([1; 32]), ..view() }), SkipCode::OtherElection),
        ("another caller", other(View { coordinator: cluster.node(1), ..view() }), SkipCode::OtherElection),
        (
            "another life of the caller",
            other(View { coordinator_generation: Generation(4), ..view() }),
            SkipCode::OtherElection,
        ),
        ("an unsorted list", other(View { active: unsorted, ..view() }), SkipCode::Malformed),
        ("a doubled list", other(View { active: doubled, ..view() }), SkipCode::Malformed),
        ("a list of strangers", other(View { active: vec![NodeId([0; 32])], ..view() }), SkipCode::Malformed),
    ]
}

/// PROTOCOL T3, T4
#[test]
fn a_bad_view_is_skipped_with_its_place_and_reason_and_spoils_nothing() {
    let cluster = Cluster::new(4, 1);
    for (what, bad, code) in bad_views(&cluster, 9) {
        let mut views = cluster.views(9, [0, 1, 2]);
        views.insert(1, bad);
        let (certificate, evidence) = elected(&service(), cluster.request(9, views));
        assert_eq!(certificate.skipped, [Skipped { index: 1, code }], "{what}");
        assert_eq!((certificate.signers.len(), evidence), (3, Vec::new()), "{what}");
    }
}

/// PROTOCOL T4
#[test]
fn bad_views_count_towards_no_quorum() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    for (what, bad, code) in bad_views(&cluster, 9) {
        let views = [cluster.views(9, [0, 1]), vec![bad]].concat();
        let skipped = vec![Skipped { index: 2, code }];
        let refusal = EnclaveRefusal::TooFewViews { counted: 2, needed: 3, skipped, evidence: Vec::new() };
        assert_eq!(refused(&service, cluster.request(9, views)), refusal, "{what}");
    }
    assert_eq!(latest(&service, &cluster), Err(EnclaveRefusal::NothingCertified));
}

/// PROTOCOL T5
#[test]
fn the_same_view_again_counts_once() {
    let cluster = Cluster::new(4, 1);
    let repeated = cluster.views(2, [0, 1, 1, 1, 0]);
    let refusal = refused(&service(), cluster.request(2, repeated));
    assert!(matches!(refusal, EnclaveRefusal::TooFewViews { counted: 2, .. }), "{refusal:?}");
    let (certificate, _) = elected(&service(), cluster.request(2, cluster.views(2, [0, 1, 1, 2])));
    assert_eq!(certificate.skipped, [Skipped { index: 2, code: SkipCode::Repeated }]);
}

/// PROTOCOL T5
#[test]
fn of_a_voter_that_signs_twice_nothing_counts_and_the_evidence_comes_back() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let lie = View { eligible: false, ..cluster.view(2, 3) };
    let mut views = cluster.views(2, [3, 0, 1, 2, 3]);
    views.push(cluster.sealed(lie));
    let (certificate, evidence) = elected(&service, cluster.request(2, views));
    let skip = |index| Skipped { index, code: SkipCode::Equivocated };
    assert_eq!(certificate.skipped, [skip(0), skip(4), skip(5)]);
    assert_eq!(certificate.signers, [0, 1, 2].map(|voter| cluster.node(voter)));
    let culprits: Vec<_> = evidence.iter().map(|evidence| evidence.verify(&Ring).unwrap()).collect();
    assert_eq!(
        culprits.iter().map(|found| (found.voter, found.term)).collect::<Vec<_>>(),
        [(cluster.node(3), Term(2))]
    );
}

#[test]
fn a_view_for_another_caller_beside_ones_own_is_equivocation() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let other_call = cluster.sign(View { coordinator: cluster.node(2), ..cluster.view(2, 3) });
    let mut views = cluster.views(2, [0, 1, 2, 3]);
    views.push(cluster.seal(2, &codec::encode(&other_call)));
    let (certificate, evidence) = elected(&service, cluster.request(2, views));
    assert_eq!(certificate.signers.len(), 3);
    assert_eq!(evidence.len(), 1);
    assert!(evidence[0].verify(&Ring).is_ok());
}

#[test]
fn evidence_is_bounded_and_refusals_carry_it_too() {
    let cluster = Cluster::new(20, 0);
    let twice = |voters: std::ops::Range<usize>| {
        voters.flat_map(|voter| {
            let lie = View { eligible: false, ..cluster.view(1, voter) };
            [cluster.sealed(cluster.view(1, voter)), cluster.sealed(lie)]
        })
    };
    let views: Vec<_> = cluster.views(1, 0..11).into_iter().chain(twice(11..20)).collect();
    let (certificate, evidence) = elected(&service(), cluster.request(1, views));
    assert_eq!((certificate.skipped.len(), evidence.len()), (18, EVIDENCE_MAX));

    let views: Vec<_> = cluster.views(1, 0..10).into_iter().chain(twice(10..11)).collect();
    match refused(&service(), cluster.request(1, views)) {
        EnclaveRefusal::TooFewViews { counted: 10, needed: 11, skipped, evidence } => {
            assert_eq!((skipped.len(), evidence.len()), (2, 1));
        }
        other => panic!("{other:?}"),
    }
}

/// PROTOCOL T6
#[test]
fn without_a_candidate_the_election_is_refused_and_the_term_stays_free() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let unwilling =
        (0..3).map(|voter| cluster.sealed(View { eligible: false, ..cluster.view(5, voter) })).collect();
    let refusal = refused(&service, cluster.request(5, unwilling));
    assert_eq!(refusal, EnclaveRefusal::NoCandidate { evidence: Vec::new() });
    elected(&service, cluster.request(5, cluster.views(5, 0..3)));
}

/// PROTOCOL T7
#[test]
fn a_term_is_certified_once_and_no_lower_one_after_it() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    elected(&service, cluster.request(5, cluster.views(5, 0..3)));
    for term in [5, 4, 1] {
        let refusal = refused(&service, cluster.request(term, cluster.views(term, 1..4)));
        assert_eq!(refusal, EnclaveRefusal::StaleTerm { last: Term(5) }, "term {term}");
    }
    let (certificate, _) = elected(&service, cluster.request(6, cluster.views(6, 1..4)));
    assert_eq!(latest(&service, &cluster).unwrap().peek(), Ok(certificate));
}

#[test]
fn electorates_do_not_share_terms() {
    let (service, one, other) = (service(), Cluster::new(4, 1), Cluster::new(3, 0));
    elected(&service, one.request(5, one.views(5, 0..3)));
    elected(&service, other.request(1, other.views(1, 0..3)));
    assert_eq!(latest(&service, &one).unwrap().peek().unwrap().term, Term(5));
    assert_eq!(latest(&service, &other).unwrap().peek().unwrap().term, Term(1));
}

/// PROTOCOL T2
#[test]
fn views_of_the_true_electorate_do_not_count_under_a_forged_one() {
    let cluster = Cluster::new(4, 1);
    let mut forged = Cluster::new(4, 1);
    forged.electorate.policy = Policy::of(Rule::Lottery);
    let carried = forged.request(2, cluster.views(2, 0..4));
    let refusal = refused(&service(), carried);
    assert!(matches!(refusal, EnclaveRefusal::TooFewViews { counted: 0, .. }), "{refusal:?}");
}

/// PROTOCOL T2
#[test]
fn requests_that_no_views_could_make_right_are_refused_by_name() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let views = || cluster.views(1, 0..3);
    let refusal_of = |change: &dyn Fn(&mut nitro_elect_protocol::enclave_api::Elect)| {
        let mut elect = cluster.elect(1, views());
        change(&mut elect);
        refused(&service, Request::Elect(Box::new(elect)))
    };
    let many = vec![SealedView(vec![0; 48]); VIEWS_MAX + 1];
    assert_eq!(refusal_of(&|elect| elect.views = many.clone()), EnclaveRefusal::TooManyViews);
    assert_eq!(refusal_of(&|elect| elect.term = Term(0)), EnclaveRefusal::TermRange);
    assert_eq!(refusal_of(&|elect| elect.term = Term(TERM_MAX + 1)), EnclaveRefusal::TermRange);
    assert_eq!(refusal_of(&|elect| elect.coordinator = NodeId([0; 32])), EnclaveRefusal::NotAVoter);
    let invalid = EnclaveRefusal::InvalidElectorate;
    assert_eq!(refusal_of(&|elect| elect.electorate.f = 2), invalid);
    assert_eq!(refusal_of(&|elect| elect.electorate.lease_ms = 0), invalid);
    assert_eq!(refusal_of(&|elect| elect.electorate.voters.clear()), invalid);
    assert_eq!(refusal_of(&|elect| elect.electorate.voters.reverse()), invalid);
    assert_eq!(refusal_of(&|elect| elect.electorate.voters[1].key = cluster.node(0)), invalid);
    assert_eq!(refusal_of(&|elect| elect.electorate.trust.accepted.clear()), invalid);
    assert_eq!(latest(&service, &cluster), Err(EnclaveRefusal::NothingCertified));
}

#[test]
fn the_largest_election_of_all_makes_a_certificate_that_can_be_read_and_sent() {
    let (service, cluster) = (service(), Cluster::new(128, 42));
    let mut views = cluster.views(TERM_MAX, 0..128);
    views.resize(VIEWS_MAX, SealedView(vec![7; 48]));
    let Response::Elected { certificate, evidence } = service.answer(cluster.request(TERM_MAX, views)) else {
        panic!("not elected")
    };
    let read = certificate.peek().unwrap();
    assert_eq!((read.term, read.signers.len(), read.skipped.len()), (Term(TERM_MAX), 128, 128));
    assert!(seal_envelope(&Response::Elected { certificate, evidence }).len() < MESSAGE_MAX);
}

/// PROTOCOL T7
#[test]
fn a_signature_that_fails_uses_the_term_up() {
    let attestor = Unsigning(attestor(&Watch::default(), &TestClock::default()));
    let (service, cluster) = (Service::new(attestor, Arc::new(Ring)), Cluster::new(4, 1));
    let request = || cluster.request(3, cluster.views(3, 0..3));
    assert_eq!(refused(&service, request()), EnclaveRefusal::Module);
    assert_eq!(refused(&service, request()), EnclaveRefusal::StaleTerm { last: Term(3) });
    assert_eq!(latest(&service, &cluster), Err(EnclaveRefusal::Forgotten { term: Term(3) }));
}

#[test]
fn a_lottery_without_the_module_is_refused_and_the_term_stays_free() {
    let watch = Watch::default();
    let service = Service::new(attestor(&watch, &TestClock::default()), Arc::new(Ring));
    let mut cluster = Cluster::new(4, 1);
    cluster.electorate.policy = Policy::of(Rule::Lottery);
    watch.set_broken(true);
    assert_eq!(refused(&service, cluster.request(3, cluster.views(3, 0..3))), EnclaveRefusal::Module);
    watch.set_broken(false);
    let (certificate, _) = elected(&service, cluster.request(3, cluster.views(3, 0..3)));
    assert_eq!(certificate.reason, Reason::Policy(Rule::Lottery));
}

#[test]
fn of_many_requests_at_once_each_term_gets_one_certificate() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let quorums: [&[usize]; 4] = [&[0, 1, 2], &[1, 2, 3], &[0, 2, 3], &[0, 1, 2, 3]];
    let requests: Vec<Request> = (1..=8)
        .flat_map(|term| quorums.map(|voters| (term, voters.to_vec())))
        .map(|(term, voters)| cluster.request(term, cluster.views(term, voters)))
        .collect();
    let certificates: Vec<Certificate> = thread::scope(|scope| {
        let answers: Vec<_> =
            requests.iter().map(|request| scope.spawn(|| service.answer(request.clone()))).collect();
        let answers = answers.into_iter().map(|answer| answer.join().unwrap());
        answers
            .filter_map(|answer| match answer {
                Response::Elected { certificate, .. } => Some(certificate.peek().unwrap()),
                Response::Refused(EnclaveRefusal::StaleTerm { .. }) => None,
                other => panic!("{other:?}"),
            })
            .collect()
    });
    let mut by_term: BTreeMap<Term, u32> = BTreeMap::new();
    certificates.iter().for_each(|certificate| *by_term.entry(certificate.term).or_default() += 1);
    assert!(by_term.values().all(|count| *count == 1), "{by_term:?}");
    assert_eq!(by_term.last_key_value(), Some((&Term(8), &1)), "the highest term is always certified");
    assert_eq!(latest(&service, &cluster).unwrap().peek().unwrap().term, Term(8));
}
