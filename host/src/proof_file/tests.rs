//! The one encoding of a proof, and what is refused.

use super::*;
use nitro_elect_protocol::certificate::{Certificate, Reason};
use nitro_elect_protocol::electorate::Voter;
use nitro_elect_protocol::ids::{
    ClusterId, ElectorateDigest, EnclaveId, Generation, NodeId, Pcr, Signature, Term,
};
use nitro_elect_protocol::limits::DOCUMENT_MAX;
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::statement::Signed;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::{PcrSet, Root, Trust};
use std::time::Duration;

fn proof() -> ProofFile {
    let certificate = SignedCertificate { bytes: vec![1; 100], signature: vec![2; 256] };
    let promises = (3..6).map(|byte| Signed::from_parts(vec![byte; 31], Signature([byte; 64]))).collect();
    ProofFile {
        bundle: Bundle { certificate, document: vec![9; 50], promises },
        lease: None,
        electorate: None,
    }
}

/// A proof that also says who leads. Its certificate can be read, as its term is the lease's.
fn lease_proof() -> ProofFile {
    let certificate = SignedCertificate { bytes: codec::encode(&certificate()), signature: vec![2; 256] };
    let promises = (3..6).map(|byte| Signed::from_parts(vec![byte; 31], Signature([byte; 64]))).collect();
    let nonces = vec![Nonce([1; 32]), Nonce([2; 32])];
    let lease = LeaseProof { term: Term(7), certificate: certificate.digest(), promises, nonces };
    let bundle = Bundle { certificate, document: vec![9; 50], promises: Vec::new() };
    ProofFile { bundle, lease: Some(lease), electorate: None }
}

fn certificate() -> Certificate {
    let leader = NodeId([1; 32]);
    Certificate {
        version: 1,
        cluster: ClusterId([1; 16]),
        electorate: ElectorateDigest([2; 32]),
        enclave: EnclaveId([3; 32]),
        term: Term(7),
        coordinator: leader,
        coordinator_generation: Generation(1),
        leader,
        leader_generation: Generation(1),
        active: vec![leader],
        candidates: vec![leader],
        signers: vec![leader],
        skipped: Vec::new(),
        reason: Reason::Policy(Rule::Priority),
        previous: None,
        not_after: Wall(1),
    }
}

fn open_proof() -> ProofFile {
    let set = PcrSet { pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]), pcr8: None };
    let voter = Voter { key: NodeId([1; 32]), name: "a".into(), address: "127.0.0.1:5000".into(), weight: 1 };
    let electorate = Electorate {
        version: 1,
        cluster: ClusterId::OPEN,
        name: "open".into(),
        epoch: 0,
        previous: None,
        f: 0,
        policy: Policy::of(Rule::Highest),
        lease_ms: 1000,
        trust: Trust::new(Root::Aws, vec![set], false, Duration::from_secs(3600)),
        voters: vec![voter],
    };
    ProofFile { electorate: Some(electorate), ..proof() }
}

fn refusal(text: &str) -> String {
    ProofFile::parse(text).unwrap_err().to_string()
}

#[test]
fn a_proof_round_trips_with_and_without_a_lease_and_an_open_electorate() {
    for proof in [proof(), lease_proof(), open_proof()] {
        assert_eq!(ProofFile::parse(&proof.to_text()).unwrap(), proof);
    }
}

#[test]
fn the_format_does_not_change_unnoticed() {
    let certificate = SignedCertificate { bytes: b"certificate".to_vec(), signature: b"signature".to_vec() };
    let promises = vec![Signed::from_parts(b"promise".to_vec(), Signature([7; 64]))];
    let bundle = Bundle { certificate, document: b"document".to_vec(), promises };
    let text = "\
{
  \"format\": \"nitro-elect/v1/proof\",
  \"certificate\": {
    \"bytes\": \"Y2VydGlmaWNhdGU=\",
    \"signature\": \"c2lnbmF0dXJl\"
  },
  \"document\": \"ZG9jdW1lbnQ=\",
  \"promises\": [
    {
      \"bytes\": \"cHJvbWlzZQ==\",
      \"signature\": \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw==\"
    }
  ]
}
";
    assert_eq!(ProofFile { bundle, lease: None, electorate: None }.to_text(), text);
}

#[test]
fn a_changed_byte_gives_another_proof_or_none_never_the_same() {
    for proof in [proof(), lease_proof(), open_proof()] {
        let text = proof.to_text().into_bytes();
        for bit in 0..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(changed).ok().and_then(|text| ProofFile::parse(&text).ok());
            assert_ne!(read.as_ref(), Some(&proof), "bit {bit}");
        }
    }
}

#[test]
fn a_proof_cut_short_or_made_longer_is_refused() {
    let text = proof().to_text();
    for length in 0..text.len() {
        assert!(ProofFile::parse(&text[..length]).is_err(), "{length}");
    }
    assert!(refusal(&format!("{text}\n")).contains("differs at byte"));
    assert!(refusal(&format!(" {text}")).contains("differs at byte 0"));
}

#[test]
fn another_spelling_of_the_same_proof_is_refused() {
    let text = proof().to_text();
    let compact = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
    assert!(refusal(&compact).contains("the one way"));
    let escaped = text.replacen("\"document\"", "\"d\\u006fcument\"", 1);
    assert!(refusal(&escaped).contains("the one way"));
    let null = text.replacen("\"promises\"", "\"electorate\": null,\n  \"promises\"", 1);
    assert!(refusal(&null).contains("the one way"));
}

#[test]
fn an_unknown_a_doubled_and_a_missing_field_are_refused() {
    let text = proof().to_text();
    let with = |piece: &str| text.replacen("\"document\"", &format!("{piece}\"document\""), 1);
    assert!(refusal(&with("\"leader\": 1, ")).contains("unknown field"));
    assert!(refusal(&with("\"document\": \"\", ")).contains("duplicate field"));
    assert!(refusal(&text.replacen("document", "documents", 1)).contains("unknown field"));
    assert!(refusal("{}").contains("missing field"));
    assert!(refusal(&text.replace("/v1/", "/v2/")).contains("its format is"));
}

#[test]
fn what_is_no_base64_or_too_long_or_of_the_wrong_length_is_named() {
    let text = proof().to_text();
    let document = encode(&[9; 50]);
    assert!(refusal(&text.replace(&document, "?")).contains("document is not base64"));
    let long = encode(&[9; DOCUMENT_MAX + 1]);
    assert!(refusal(&text.replace(&document, &long)).contains("bundle.document"));
    let short = encode(&[3; 63]);
    assert!(refusal(&text.replace(&encode(&[3; 64]), &short)).contains("has 63 bytes"));
}

#[test]
fn only_a_sound_open_electorate_travels_with_its_proof() {
    let mut closed = open_proof();
    closed.electorate.as_mut().unwrap().cluster = ClusterId([1; 16]);
    assert!(refusal(&closed.to_text()).contains("only an open cluster's"));
    let mut faulty = open_proof();
    faulty.electorate.as_mut().unwrap().lease_ms = 0;
    assert!(refusal(&faulty.to_text()).contains("a lease of 0 ms"));
}
