//! Documents: what goes into them, how long one serves, and how often the module is asked.

use nitro_elect_enclave::attestor::{Attestor, ModuleError};
use nitro_elect_enclave::limits::{DOCUMENT_RENEWAL, DOCUMENT_RETRY, NONCES_PER_SECOND};
use nitro_elect_protocol::limits::{ATTEST_NONCE_MAX, DOCUMENT_MAX};
use std::time::Duration;

use crate::module::{TestClock, Watch, attestor, keys};

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn a_document_carries_the_enclaves_keys_and_the_nonce_and_nothing_else_of_the_callers() {
    let attestor = attestor(&Watch::default(), &TestClock::default());
    let claims = keys(0).claims();
    let contents = |call: u32, nonce: &[u8]| {
        [&call.to_be_bytes()[..], &claims.public_key, &claims.user_data, nonce].concat()
    };
    assert_eq!(attestor.attest(Some(b"a nonce")), Ok(contents(1, b"a nonce")));
    assert_eq!(attestor.attest(None), Ok(contents(2, b"")));
}

#[test]
fn the_document_at_hand_serves_until_its_renewal_is_due() {
    let (watch, clock) = (Watch::default(), TestClock::default());
    let attestor = attestor(&watch, &clock);
    let first = attestor.attest(None).unwrap();
    clock.advance(DOCUMENT_RENEWAL - MOMENT);
    assert_eq!(attestor.attest(None), Ok(first.clone()));
    assert_eq!(watch.calls(), 1);
    clock.advance(MOMENT);
    assert_ne!(attestor.attest(None), Ok(first));
    assert_eq!(watch.calls(), 2);
}

#[test]
fn a_document_over_a_nonce_is_always_fresh_and_never_kept() {
    let attestor = attestor(&Watch::default(), &TestClock::default());
    let at_hand = attestor.attest(None).unwrap();
    let over_nonce = attestor.attest(Some(b"n")).unwrap();
    assert_ne!(attestor.attest(Some(b"n")), Ok(over_nonce));
    assert_eq!(attestor.attest(None), Ok(at_hand));
}

#[test]
fn a_document_that_cannot_be_renewed_serves_on_and_the_module_is_not_pressed() {
    let (watch, clock) = (Watch::default(), TestClock::default());
    let attestor = attestor(&watch, &clock);
    let old = attestor.attest(None).unwrap();
    watch.set_broken(true);
    clock.advance(DOCUMENT_RENEWAL);
    for _ in 0..10 {
        assert_eq!(attestor.attest(None), Ok(old.clone()));
    }
    assert_eq!(watch.calls(), 2, "it was asked once more, in vain");
    watch.set_broken(false);
    clock.advance(DOCUMENT_RETRY);
    assert_ne!(attestor.attest(None), Ok(old));
}

#[test]
fn without_any_document_a_silent_module_is_an_error() {
    let watch = Watch::default();
    watch.set_broken(true);
    let attestor = attestor(&watch, &TestClock::default());
    assert_eq!(attestor.attest(None), Err(ModuleError::NoAnswer));
    watch.set_broken(false);
    assert!(attestor.attest(None).is_ok());
}

#[test]
fn nonces_beyond_the_rate_wait_for_the_next_second_and_do_not_hold_up_the_document_at_hand() {
    let (watch, clock) = (Watch::default(), TestClock::default());
    let attestor = attestor(&watch, &clock);
    (0..NONCES_PER_SECOND).for_each(|_| drop(attestor.attest(Some(b"n")).unwrap()));
    assert_eq!(attestor.attest(Some(b"n")), Err(ModuleError::TooOften));
    assert_eq!(watch.calls(), NONCES_PER_SECOND);
    assert!(attestor.attest(None).is_ok());
    clock.advance(Duration::from_secs(1) - MOMENT);
    assert_eq!(attestor.attest(Some(b"n")), Err(ModuleError::TooOften));
    clock.advance(MOMENT);
    assert!(attestor.attest(Some(b"n")).is_ok());
}

#[test]
fn a_nonce_longer_than_the_module_takes_does_not_reach_it() {
    let watch = Watch::default();
    let attestor = attestor(&watch, &TestClock::default());
    assert_eq!(attestor.attest(Some(&[0; ATTEST_NONCE_MAX + 1])), Err(ModuleError::NoAnswer));
    assert_eq!(watch.calls(), 0);
    assert!(attestor.attest(Some(&[0; ATTEST_NONCE_MAX])).is_ok());
}

#[test]
fn a_document_larger_than_any_is_no_answer() {
    let watch = Watch::default();
    watch.set_document(vec![0; DOCUMENT_MAX]);
    let attestor = attestor(&watch, &TestClock::default());
    assert_eq!(attestor.attest(None), Err(ModuleError::NoAnswer));
}
