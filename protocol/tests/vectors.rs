//! Golden vectors: the exact bytes of every message, kept in `vectors/messages/NAME.hex`. They change only with
//! the version number (DESIGN §6). Each is also read back, and with any byte changed it is not the same message.
//!
//! `NITRO_ELECT_BLESS=1 cargo test -p nitro-elect-protocol --test vectors` writes those that do not exist yet.

#![allow(missing_docs, clippy::unwrap_used)]

use nitro_elect_protocol::attestation::Root;
use nitro_elect_protocol::certificate::*;
use nitro_elect_protocol::change::{Approve, Change, Endorse, Word};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::{NodeKey, Ring, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::enclave_api::{Elect, EnclaveRefusal, Health, Request, Response};
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::heartbeat::{Flags, Heartbeat};
use nitro_elect_protocol::ids::*;
use nitro_elect_protocol::peer::*;
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::proof::{Bundle, LeaseProof};
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::statement::{Signed, Statement, Verified};
use nitro_elect_protocol::time::{Boot, Wall};
use nitro_elect_protocol::trust::{PcrSet, Trust};
use nitro_elect_protocol::view::{Accepted, View};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::path::PathBuf;

fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number; 32])
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/messages").join(format!("{name}.hex"))
}

/// Compares with the vector, reads it back, and bends every byte.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let bytes = codec::encode(value);
    let wrapped: Vec<String> = nitro_elect_protocol::hash::to_hex(&bytes)
        .as_bytes()
        .chunks(100)
        .map(|line| String::from_utf8_lossy(line).into())
        .collect();
    let text = wrapped.join("\n") + "\n";
    if std::env::var_os("NITRO_ELECT_BLESS").is_some() && !path(name).exists() {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), &text).unwrap();
    }
    let kept = std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(text, kept, "{name}: the bytes of this message have changed; that needs a new version");
    assert_eq!(codec::decode::<T>(&bytes).as_ref(), Ok(value), "{name}");
    for index in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[index] ^= 1;
        assert_ne!(codec::decode::<T>(&bent).as_ref(), Ok(value), "{name}: byte {index}");
    }
    assert!(codec::decode::<T>(&bytes[..bytes.len() - 1]).is_err(), "{name}: cut");
}

/// A statement's own bytes and its signed form, which must verify.
fn golden_statement<T: Statement + PartialEq + Debug + Clone>(
    name: &str,
    statement: T,
    signer: &NodeKey,
) -> Signed<T> {
    golden(name, &statement);
    let signed = Verified::sign(statement, signer).into_signed();
    golden(&format!("{name}-signed"), &signed);
    assert!(signed.clone().verify(&Ring).is_ok(), "{name}");
    signed
}

fn electorate() -> Electorate {
    let voter = |number: u8| Voter {
        key: key(number).id(),
        name: format!("node-{number}"),
        address: format!("127.0.0.1:{}", 4999 + u16::from(number)),
        weight: u32::from(number),
    };
    let pcr = |byte| Pcr([byte; 48]);
    let accepted = vec![PcrSet { pcr0: pcr(1), pcr1: pcr(2), pcr2: pcr(3), pcr8: None }];
    let mut electorate = Electorate {
        version: VERSION,
        cluster: ClusterId([0xc1; 16]),
        name: "golden".into(),
        epoch: 1,
        previous: Some(ElectorateDigest([0xe0; 32])),
        f: 1,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: Trust { root: Root::Aws, accepted, allow_debug: false, max_age_ms: 3_600_000 },
        voters: (1..=4).map(voter).collect(),
    };
    electorate.sort();
    electorate
}

fn accepted() -> Accepted {
    Accepted { term: Term(6), leader: key(1).id(), certificate: CertificateDigest([0xce; 32]) }
}

fn view(signed_at: u64) -> View {
    let electorate = electorate();
    View {
        cluster: electorate.cluster,
        electorate: electorate.digest(),
        enclave: EnclaveId([0xec; 32]),
        term: Term(7),
        coordinator: key(1).id(),
        coordinator_generation: Generation(3),
        voter: key(2).id(),
        voter_generation: Generation(4),
        active: electorate.voters.iter().map(|voter| voter.key).collect(),
        eligible: true,
        preferred: Some(key(1).id()),
        accepted: Some(accepted()),
        signed_at: Wall(signed_at),
    }
}

fn promise() -> Promise {
    Promise {
        cluster: electorate().cluster,
        electorate: electorate().digest(),
        term: Term(7),
        leader: key(1).id(),
        generation: Generation(3),
        voter: key(2).id(),
        seq: 9,
        challenge: Challenge::of(&[Nonce([1; 32])]),
        certificate: CertificateDigest([0xce; 32]),
        signed_at: Wall(1_700_000_000_000),
    }
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        cluster: electorate().cluster,
        node: key(2).id(),
        name: "node-2".into(),
        address: "127.0.0.1:5001".into(),
        generation: Generation(4),
        seq: 77,
        boot: Boot(123_456_789),
        wall: Wall(1_700_000_000_000),
        highest_term: Term(7),
        flags: Flags { draining: true, unhealthy: false, stepped_down: false },
    }
}

fn resign() -> Resign {
    Resign {
        cluster: electorate().cluster,
        node: key(1).id(),
        generation: Generation(3),
        up_to_term: Term(7),
        successor: Some(key(2).id()),
    }
}

fn change() -> Change {
    let electorate = electorate();
    Change { cluster: electorate.cluster, from: electorate.digest(), to: ElectorateDigest([0xe2; 32]) }
}

fn certificate() -> Certificate {
    let electorate = electorate();
    let all: Vec<NodeId> = electorate.voters.iter().map(|voter| voter.key).collect();
    Certificate {
        version: VERSION,
        cluster: electorate.cluster,
        electorate: electorate.digest(),
        enclave: EnclaveId([0xec; 32]),
        term: Term(7),
        coordinator: key(1).id(),
        coordinator_generation: Generation(3),
        leader: all[0],
        leader_generation: Generation(3),
        active: all.clone(),
        candidates: all[..3].to_vec(),
        signers: all[..3].to_vec(),
        skipped: vec![Skipped { index: 3, code: SkipCode::NotOpened }],
        reason: Reason::Policy(Rule::Priority),
        previous: Some(accepted()),
        not_after: Wall(1_700_000_001_000),
    }
}

fn bundle() -> Bundle {
    let certificate = SignedCertificate { bytes: codec::encode(&certificate()), signature: vec![0x5a; 256] };
    let promises = vec![Verified::sign(promise(), &key(2)).into_signed()];
    Bundle { certificate, document: vec![0xd0; 40], promises }
}

#[test]
fn the_electorate_and_its_digest_are_golden() {
    golden("electorate", &electorate());
    golden("electorate-digest", &electorate().digest());
    golden(
        "electorate-policies",
        &[Rule::Priority, Rule::Highest, Rule::Rotate, Rule::Lottery].map(Policy::of),
    );
}

#[test]
fn signed_statements_are_golden() {
    golden_statement("view", view(1_700_000_000_000), &key(2));
    golden_statement("heartbeat", heartbeat(), &key(2));
    golden_statement("promise", promise(), &key(2));
    golden_statement("resign", resign(), &key(1));
    golden_statement("endorse", Endorse::word(change(), 3, key(2).id()), &key(2));
    golden_statement("approve", Approve::word(change(), 3, key(2).id()), &key(2));
}

#[test]
fn certificates_bundles_and_proofs_are_golden() {
    golden("certificate", &certificate());
    golden("certificate-reasons", &[Reason::Successor, Reason::Incumbent, Reason::Policy(Rule::Lottery)]);
    use SkipCode::*;
    golden(
        "certificate-skip-codes",
        &[NotOpened, Malformed, BadSignature, NotAVoter, OtherElection, Repeated, Equivocated],
    );
    golden("bundle", &bundle());
    let promises = bundle().promises;
    let certificate = bundle().certificate.digest();
    golden("lease-proof", &LeaseProof { term: Term(7), certificate, promises, nonces: vec![Nonce([1; 32])] });
    let sign = |at| Verified::sign(view(at), &key(2)).into_signed();
    let evidence = Evidence::new(sign(2), sign(1));
    golden("evidence", &evidence);
    let verified = evidence.verify(&Ring).unwrap();
    assert_eq!((verified.voter, verified.term), (key(2).id(), Term(7)));
}

#[test]
fn what_the_enclave_is_asked_and_answers_is_golden() {
    golden("enclave-attest", &Request::Attest { nonce: Some(vec![9; 32].into()) });
    golden("enclave-attest-any", &Request::Attest { nonce: None });
    let elect = Elect {
        electorate: electorate(),
        term: Term(7),
        coordinator: key(1).id(),
        generation: Generation(3),
        views: vec![SealedView(vec![1; 60]), SealedView(vec![2; 60])],
    };
    golden("enclave-elect", &Request::Elect(Box::new(elect)));
    golden("enclave-latest", &Request::Latest { electorate: electorate().digest() });
    golden("enclave-health", &Request::Health);
    golden("enclave-attestation", &Response::Attestation { document: vec![0xd0; 40] });
    let certificate = bundle().certificate;
    golden("enclave-elected", &Response::Elected { certificate: certificate.clone(), evidence: Vec::new() });
    golden("enclave-latest-answer", &Response::Latest { certificate });
    let health = Health { enclave: EnclaveId([0xec; 32]), service_version: "0.1.0".into() };
    golden("enclave-health-answer", &Response::Health(health));
}

#[test]
fn every_refusal_of_the_enclave_is_golden() {
    use EnclaveRefusal::*;
    let skipped = vec![Skipped { index: 0, code: SkipCode::Malformed }];
    let refusals = vec![
        UnknownVersion(2),
        Malformed,
        TooLong,
        NonceTooLong,
        Busy,
        InvalidElectorate,
        TooManyViews,
        NotAVoter,
        TermRange,
        StaleTerm { last: Term(7) },
        TooFewViews { counted: 2, needed: 3, skipped, evidence: Vec::new() },
        NoCandidate { evidence: Vec::new() },
        Full,
        NothingCertified,
        Forgotten { term: Term(7) },
        Module,
        Unreachable,
        NotServed,
    ];
    golden("enclave-refusals", &refusals);
    golden("enclave-refused", &Response::Refused(Busy));
}

#[test]
fn what_nodes_say_about_life_is_golden() {
    let entry = DigestEntry { node: key(2).id(), generation: Generation(4), seq: 77 };
    golden("peer-digest", &PeerMessage::Digest(vec![entry]));
    let heartbeats = vec![Verified::sign(heartbeat(), &key(2)).into_signed()];
    golden("peer-delta", &PeerMessage::Delta(Delta { heartbeats, wanted: vec![key(3).id()] }));
    golden("peer-want-certificate", &PeerMessage::WantCertificate { above: Term(6) });
    golden("peer-certificate", &PeerMessage::Certificate(Box::new(bundle())));
    golden("peer-resign", &PeerMessage::Resign(Verified::sign(resign(), &key(1)).into_signed()));
    golden("peer-nonces", &PeerMessage::Nonces(vec![Nonce([1; 32])]));
    golden("peer-unknown-version", &PeerMessage::UnknownVersion { v: 2 });
}

#[test]
fn what_nodes_say_in_an_election_is_golden() {
    let (electorate, generation) = (electorate().digest(), Generation(3));
    let prevote = PreVote { electorate, generation, round: 5, certificate: Some(bundle()), resign: None };
    golden("peer-pre-vote", &PeerMessage::PreVote(Box::new(prevote)));
    let refusal = Some(Refusal::Promised { ms: 400 });
    let answer = PreVoteAnswer { round: 5, refusal, record_term: Term(6), eligible: true, certificate: None };
    golden("peer-pre-vote-answer", &PeerMessage::PreVoteAnswer(Box::new(answer)));
    let call = CallForViews {
        electorate,
        term: Term(7),
        enclave: EnclaveId([0xec; 32]),
        document: vec![0xd0; 40],
        generation,
        certificate: None,
        resign: Some(Verified::sign(resign(), &key(1)).into_signed()),
    };
    golden("peer-call", &PeerMessage::Call(Box::new(call)));
    let outcome = Ok(SealedView(vec![1; 60]));
    let answer = CallAnswer { term: Term(7), outcome, certificate: None };
    golden("peer-call-answer", &PeerMessage::CallAnswer(Box::new(answer)));
    let renew = Renew { electorate, term: Term(7), generation, seq: 9, challenge: Challenge::NONE };
    golden("peer-renew", &PeerMessage::Renew(renew));
    let outcome = Ok(Verified::sign(promise(), &key(2)).into_signed());
    let answer = RenewAnswer { term: Term(7), seq: 9, outcome, certificate: None };
    golden("peer-renew-answer", &PeerMessage::RenewAnswer(Box::new(answer)));
}

#[test]
fn every_refusal_of_a_voter_is_golden() {
    use Refusal::*;
    let refusals = vec![
        OtherElectorate(electorate().digest()),
        NotAVoter,
        Promised { ms: 400 },
        StaleTerm { last: Term(7) },
        TermTooHigh { max: Term(1031) },
        BackOff { ms: 25 },
        EarlierGeneration,
        Resigned,
        NoCertificate,
        NotLeader,
        Enclave { check: 12 },
        TooManyDocuments,
        NotSigning,
    ];
    golden("peer-refusals", &refusals);
}

#[test]
fn an_envelope_is_golden_and_names_an_unknown_version() {
    let bytes = seal_envelope(&PeerMessage::WantCertificate { above: Term(6) });
    let envelope: Envelope = codec::decode(&bytes).unwrap();
    golden("envelope", &envelope);
    let later = codec::encode(&Envelope { v: 2, ..envelope });
    assert_eq!(open_envelope::<PeerMessage>(&later), Err(EnvelopeError::Version(2)));
}

#[test]
fn a_doubled_field_a_missing_one_and_an_unknown_one_are_refused() {
    let good = codec::encode(&Renew {
        electorate: ElectorateDigest([1; 32]),
        term: Term(1),
        generation: Generation(1),
        seq: 1,
        challenge: Challenge::NONE,
    });
    let seq = [&[0x63][..], b"seq", &[0x01]].concat();
    let mut doubled = good.clone();
    doubled[0] += 1;
    doubled.extend_from_slice(&seq);
    assert!(codec::decode::<Renew>(&doubled).is_err());
    let mut unknown = good.clone();
    unknown[0] += 1;
    unknown.extend_from_slice(&[&[0x63][..], b"sez", &[0x01]].concat());
    assert!(codec::decode::<Renew>(&unknown).is_err());
    let place = good.windows(seq.len()).position(|window| window == seq).unwrap();
    let mut missing = [&good[..place], &good[place + seq.len()..]].concat();
    missing[0] -= 1;
    assert!(codec::decode::<Renew>(&missing).is_err());
}
