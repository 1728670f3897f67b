//! Whatever the bytes are, there is an answer, and nothing breaks.

use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::codec;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Health, Request, Response};
use nitro_elect_protocol::limits::{ATTEST_NONCE_MAX, MESSAGE_MAX};
use nitro_elect_protocol::peer::{Envelope, open_envelope, seal_envelope};
use proptest::prelude::*;

use crate::cluster::Cluster;
use crate::module::{TestModule, keys, service};
use nitro_elect_enclave::attestor::ModuleAttestor;

type TestService = Service<ModuleAttestor<TestModule>>;

fn answer(service: &TestService, bytes: &[u8]) -> Response {
    open_envelope(&service.handle(bytes)).expect("every answer is a message")
}

fn envelope(v: u32, body: Vec<u8>) -> Vec<u8> {
    codec::encode(&Envelope { v, body })
}

#[test]
fn bytes_that_are_no_request_are_refused_as_such() {
    let service = service();
    let health = codec::encode(&Request::Health);
    let not_requests: [Vec<u8>; 7] = [
        Vec::new(),
        vec![0xff; 100],
        vec![0x81; 100_000],
        health.clone(),
        envelope(1, Vec::new()),
        envelope(1, [health, vec![0]].concat()),
        envelope(1, codec::encode(&"Nothing")),
    ];
    for bytes in not_requests {
        let refusal = answer(&service, &bytes);
        assert_eq!(refusal, Response::Refused(EnclaveRefusal::Malformed), "{} bytes", bytes.len());
    }
}

#[test]
fn a_request_above_the_bound_is_named_as_such() {
    let refusal = answer(&service(), &vec![0; MESSAGE_MAX + 1]);
    assert_eq!(refusal, Response::Refused(EnclaveRefusal::TooLong));
}

#[test]
fn a_message_of_another_version_is_named() {
    for v in [0, 2, u32::MAX] {
        let refusal = answer(&service(), &envelope(v, codec::encode(&Request::Health)));
        assert_eq!(refusal, Response::Refused(EnclaveRefusal::UnknownVersion(v)));
    }
}

#[test]
fn a_million_empty_views_are_no_request() {
    let (service, cluster) = (service(), Cluster::new(4, 1));
    let empty = nitro_elect_protocol::seal::SealedView(Vec::new());
    let request = seal_envelope(&cluster.request(1, vec![empty; 1_000_000]));
    assert!(request.len() <= MESSAGE_MAX, "it fits in a frame");
    assert_eq!(answer(&service, &request), Response::Refused(EnclaveRefusal::Malformed));
}

#[test]
fn health_names_the_enclave() {
    let health = Health { enclave: keys(0).enclave(), service_version: env!("CARGO_PKG_VERSION").into() };
    assert_eq!(answer(&service(), &seal_envelope(&Request::Health)), Response::Health(health));
}

#[test]
fn a_nonce_within_its_bound_is_attested_and_a_longer_one_is_not() {
    let service = service();
    let attest = |length| {
        let nonce = Some(serde_bytes::ByteBuf::from(vec![7; length]));
        answer(&service, &seal_envelope(&Request::Attest { nonce }))
    };
    assert!(
        matches!(attest(ATTEST_NONCE_MAX), Response::Attestation { document } if document.ends_with(&[7; 512]))
    );
    assert_eq!(attest(ATTEST_NONCE_MAX + 1), Response::Refused(EnclaveRefusal::NonceTooLong));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let service = service();
        prop_assert!(matches!(answer(&service, &bytes), Response::Refused(_)));
        prop_assert!(matches!(answer(&service, &envelope(1, bytes)), Response::Refused(_)));
    }

    #[test]
    fn a_request_with_any_byte_changed_certifies_nothing_else(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (service, cluster) = (service(), Cluster::new(4, 1));
        let body = codec::encode(&cluster.request(1, cluster.views(1, 0..3)));
        let mut bent = body.clone();
        bent[at.index(body.len())] ^= flip;
        let certified = matches!(answer(&service, &envelope(1, bent)), Response::Elected { .. });
        prop_assert!(!certified, "three views are the quorum: none of them may change, nor what they are for");
    }
}
