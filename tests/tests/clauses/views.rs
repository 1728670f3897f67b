//! §4: when a voter signs a view. Voter 1 is asked; the others' messages are made by hand.

use nitro_elect::core::config::Observers;
use nitro_elect::core::event::Action;
use nitro_elect_protocol::ids::{ElectorateDigest, Generation, Term};
use nitro_elect_protocol::limits::{TERM_MAX, TERM_WINDOW};
use nitro_elect_protocol::peer::{PeerMessage, Refusal};

use crate::forgery::{back_off_ms, promised_ms, term};
use crate::plan::{LEASE, Plan};
use crate::rig::Rig;

/// The voter that is asked.
const V: usize = 1;

/// PROTOCOL V1
#[test]
fn a_call_over_another_electorate_is_refused_with_ones_own_digest() {
    let mut rig = Rig::new();
    let mut call = rig.call(0, term(1));
    call.electorate = ElectorateDigest([9; 32]);
    let digest = rig.electorate.digest();
    assert_eq!(rig.hand_call(V, 0, call).1.outcome, Err(Refusal::OtherElectorate(digest)));
    assert!(rig.called(V, 0, term(1)).is_ok(), "the same call over its own is not");
}

/// PROTOCOL V1
#[test]
fn a_call_of_a_node_that_does_not_vote_is_refused() {
    let mut rig = Rig::with(Plan { observers: Observers::Open(5), ..Plan::default() });
    let call = rig.call(0, term(1));
    assert_eq!(rig.hand_call(V, 9, call).1.outcome, Err(Refusal::NotAVoter));
    assert!(rig.nodes[V].persisted.is_empty());
}

/// PROTOCOL V2
#[test]
fn no_view_is_signed_for_the_records_term_or_a_lower_one() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(5)).is_ok());
    rig.pass(LEASE);
    for stale in [5, 4] {
        let refusal = rig.called(V, 2, term(stale));
        assert_eq!(refusal, Err(Refusal::StaleTerm { last: term(5) }), "term {stale}");
    }
    assert!(rig.called(V, 2, term(6)).is_ok());
}

/// PROTOCOL V2
#[test]
fn a_promise_uses_its_term_up_for_views() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    assert!(rig.renewed(V, 0, term(5)).is_ok());
    assert_eq!(rig.called(V, 0, term(5)), Err(Refusal::StaleTerm { last: term(5) }));
    assert!(rig.called(V, 0, term(6)).is_ok());
}

/// PROTOCOL V3
#[test]
fn a_term_is_believed_up_to_the_window_above_the_cluster_clock_and_the_time_without_a_leader() {
    let mut rig = Rig::new();
    rig.tick(V);
    rig.pass(250);
    let believed = rig.now(V).wall.0 + TERM_WINDOW + 250;
    let refusal = rig.called(V, 0, Term(believed + 1));
    assert_eq!(refusal, Err(Refusal::TermTooHigh { max: Term(believed) }));
    assert!(rig.called(V, 0, Term(believed)).is_ok());
    rig.pass(LEASE);
    assert!(rig.called(V, 2, Term(believed + 1)).is_ok(), "its record's successor always is");
}

/// PROTOCOL V3
#[test]
fn a_term_is_believed_up_to_the_window_above_the_highest_certificate() {
    let mut rig = Rig::new();
    let far = term(1_000_000);
    rig.adopt(V, far, 0);
    let refusal = rig.called(V, 0, Term(far.0 + TERM_WINDOW + 1));
    assert_eq!(refusal, Err(Refusal::TermTooHigh { max: Term(far.0 + TERM_WINDOW) }));
    assert!(rig.called(V, 0, Term(far.0 + TERM_WINDOW)).is_ok());
}

/// PROTOCOL V3
#[test]
fn ones_own_record_does_not_raise_what_is_believed() {
    let mut rig = Rig::new();
    let highest = Term(rig.now(V).wall.0 + TERM_WINDOW);
    assert!(rig.called(V, 0, highest).is_ok());
    rig.tell_resign(V, rig.resign(0, 1, highest));
    let refusal = rig.called(V, 2, Term(highest.0 + 2));
    assert_eq!(refusal, Err(Refusal::TermTooHigh { max: highest.next() }));
}

/// PROTOCOL V3
#[test]
fn terms_stay_below_two_to_the_fifty_third() {
    let mut rig = Rig::new();
    rig.adopt(V, Term(TERM_MAX - 5), 0);
    let refusal = rig.called(V, 0, Term(TERM_MAX + 1));
    assert_eq!(refusal, Err(Refusal::TermTooHigh { max: Term(TERM_MAX) }));
    assert!(rig.called(V, 0, Term(TERM_MAX)).is_ok());
    rig.pass(LEASE);
    assert!(rig.called(V, 2, Term(TERM_MAX + 1)).is_err(), "not even as its record's successor");
}

/// PROTOCOL V4
#[test]
fn a_live_promise_to_one_caller_keeps_every_other_out_until_it_ends() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    rig.pass(300);
    assert_eq!(promised_ms(&rig.called(V, 2, term(2))), Some(LEASE - 300));
    rig.pass(LEASE - 301);
    assert_eq!(promised_ms(&rig.called(V, 2, term(2))), Some(1));
    rig.pass(1);
    assert!(rig.called(V, 2, term(2)).is_ok());
}

/// PROTOCOL V4
#[test]
fn under_a_live_promise_its_holder_gets_a_second_view_only_if_it_leads_the_highest_certificate() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    assert_eq!(promised_ms(&rig.called(V, 0, term(2))), Some(LEASE), "it called and does not lead");
    rig.adopt(V, term(1), 0);
    assert!(rig.called(V, 0, term(2)).is_ok());
    assert_eq!(promised_ms(&rig.called(V, 2, term(3))), Some(LEASE), "others wait all the same");
}

/// PROTOCOL V4
#[test]
fn a_leader_that_resigned_from_its_certificate_gets_no_second_view_under_a_live_promise() {
    let mut rig = Rig::new();
    rig.adopt(V, term(1), 0);
    rig.tell_resign(V, rig.resign(0, 1, term(1)));
    assert!(rig.called(V, 0, term(2)).is_ok(), "a new call, as by anybody");
    assert_eq!(promised_ms(&rig.called(V, 0, term(3))), Some(LEASE), "it does not keep the voter for ever");
}

/// PROTOCOL V4
#[test]
fn the_leader_of_the_highest_certificate_gets_no_view_under_a_promise_to_another() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 2, term(2)).is_ok());
    rig.adopt(V, term(3), 0);
    assert_eq!(promised_ms(&rig.called(V, 0, term(4))), Some(LEASE));
}

/// PROTOCOL V5
#[test]
fn an_earlier_life_of_the_holder_gets_no_view_under_its_later_lifes_promise() {
    let mut rig = Rig::new();
    rig.nodes[0].generation = Generation(2);
    rig.adopt(V, term(1), 0);
    assert!(rig.called(V, 0, term(2)).is_ok());
    rig.nodes[0].generation = Generation(1);
    assert_eq!(rig.called(V, 0, term(3)), Err(Refusal::EarlierGeneration));
    rig.nodes[0].generation = Generation(3);
    assert!(rig.called(V, 0, term(3)).is_ok(), "a later one does");
}

/// PROTOCOL V6
#[test]
fn a_remembered_resignation_of_the_caller_that_covers_the_term_and_life_refuses_it() {
    let mut rig = Rig::new();
    rig.tell_resign(V, rig.resign(0, 1, term(5)));
    assert_eq!(rig.called(V, 0, term(5)), Err(Refusal::Resigned));
    assert_eq!(rig.called(V, 0, term(4)), Err(Refusal::Resigned));
    assert!(rig.called(V, 0, term(6)).is_ok(), "a higher term is not covered");
}

/// PROTOCOL V6
#[test]
fn a_resignation_of_another_life_refuses_nothing() {
    let mut rig = Rig::new();
    rig.tell_resign(V, rig.resign(0, 2, term(5)));
    assert!(rig.called(V, 0, term(5)).is_ok());
}

/// PROTOCOL V7, V14
#[test]
fn a_caller_whose_promise_ended_without_fruit_is_kept_waiting_twice_as_long() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    rig.pass(100);
    rig.tell_resign(V, rig.resign(0, 1, term(1)));
    assert_eq!(back_off_ms(&rig.called(V, 0, term(2))), Some(200));
    assert_eq!(rig.prevoted(V, 0).1.refusal, Some(Refusal::BackOff { ms: 200 }));
    assert!(rig.prevoted(V, 2).1.refusal.is_none(), "nobody else waits");
    rig.pass(199);
    assert_eq!(back_off_ms(&rig.called(V, 0, term(2))), Some(1));
    rig.pass(1);
    assert!(rig.called(V, 0, term(2)).is_ok());
}

/// PROTOCOL V14
#[test]
fn back_off_doubles_with_each_fruitless_hold_from_a_fortieth_of_a_lease_to_eight_leases() {
    let mut rig = Rig::new();
    let mut number = 0;
    let mut fruitless = |rig: &mut Rig, held: u64| {
        number += 1;
        assert!(rig.called(V, 0, term(number)).is_ok(), "call {number}");
        rig.pass(held);
        rig.tell_resign(V, rig.resign(0, 1, term(number)));
        let left = back_off_ms(&rig.called(V, 0, term(number + 1))).expect("in back-off");
        rig.pass(left);
        left
    };
    assert_eq!(fruitless(&mut rig, 1), LEASE / 40);
    assert_eq!(fruitless(&mut rig, 10), 40);
    assert_eq!(fruitless(&mut rig, 10), 80);
    assert_eq!((4..=8).map(|_| fruitless(&mut rig, 10)).collect::<Vec<_>>(), [160, 320, 640, 640, 640]);
    assert_eq!(fruitless(&mut rig, 900), 8 * LEASE);
}

/// PROTOCOL V14
#[test]
fn a_hold_that_runs_out_counts_like_one_that_was_resigned() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    rig.pass(LEASE + 500);
    assert_eq!(back_off_ms(&rig.called(V, 0, term(2))), Some(2 * LEASE - 500));
}

/// PROTOCOL V14
#[test]
fn a_promise_in_a_renewal_makes_a_hold_fruitful() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    // Called by another, so that the certificate alone would not do.
    let bundle = rig.certified(term(1), 2, 0);
    rig.tell(V, 0, PeerMessage::Certificate(Box::new(bundle)));
    assert!(rig.renewed(V, 0, term(1)).is_ok());
    rig.pass(LEASE);
    assert!(rig.called(V, 0, term(2)).is_ok());
}

/// PROTOCOL V14
#[test]
fn a_new_certificate_of_an_election_it_called_and_won_clears_a_node_and_an_old_one_does_not() {
    let mut rig = Rig::new();
    let old = rig.adopt(V, term(1), 0);
    assert!(rig.called(V, 0, term(2)).is_ok());
    rig.pass(LEASE);
    assert!(back_off_ms(&rig.called(V, 0, term(3))).is_some());
    rig.tell(V, 0, PeerMessage::Certificate(Box::new(old)));
    assert!(back_off_ms(&rig.called(V, 0, term(3))).is_some(), "the old one again");
    let nominated = rig.certified(term(3), 0, 2);
    rig.tell(V, 0, PeerMessage::Certificate(Box::new(nominated)));
    assert!(back_off_ms(&rig.called(V, 0, term(4))).is_some(), "it elected another");
    let elected_by_another = rig.certified(term(4), 2, 0);
    rig.tell(V, 0, PeerMessage::Certificate(Box::new(elected_by_another)));
    assert!(back_off_ms(&rig.called(V, 0, term(5))).is_some(), "another called");
    rig.adopt(V, term(5), 0);
    assert!(rig.called(V, 0, term(6)).is_ok());
}

/// PROTOCOL V14
#[test]
fn the_leader_of_the_highest_certificate_is_exempt_under_its_live_promise() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    rig.pass(LEASE);
    assert!(back_off_ms(&rig.called(V, 0, term(2))).is_some());
    let bundle = rig.certified(term(2), 2, 0);
    rig.tell(V, 0, PeerMessage::Certificate(Box::new(bundle)));
    assert!(back_off_ms(&rig.called(V, 0, term(3))).is_some(), "it has no promise yet");
    assert!(rig.renewed(V, 0, term(2)).is_ok());
    assert!(rig.called(V, 0, term(3)).is_ok());
}

/// PROTOCOL V8
#[test]
fn no_view_is_sealed_to_an_enclave_whose_document_does_not_pass_every_check() {
    let mut rig = Rig::with(Plan { enclaves: 2, ..Plan::default() });
    let mut bent = rig.call(0, term(1));
    bent.document[100] ^= 1;
    assert!(matches!(rig.hand_call(V, 0, bent).1.outcome, Err(Refusal::Enclave { .. })));
    let mut other = rig.call(0, term(1));
    other.document = rig.enclaves[1].identity.document.clone();
    assert!(matches!(rig.hand_call(V, 0, other).1.outcome, Err(Refusal::Enclave { .. })), "another's");
    assert!(rig.nodes[V].persisted.is_empty(), "and nothing was promised");
    assert!(rig.called(V, 0, term(1)).is_ok());
}

/// PROTOCOL V8
#[test]
fn a_document_older_than_the_trust_section_allows_is_not_live() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    rig.pass(nitro_elect_protocol::limits::AGE_MAX.as_millis() as u64 + 1);
    assert!(matches!(rig.called(V, 2, term(2)), Err(Refusal::Enclave { .. })));
}

/// PROTOCOL V8
#[test]
fn a_peer_has_four_unknown_documents_a_second_checked() {
    let mut rig = Rig::new();
    let mut outcomes = Vec::new();
    for byte in 0..6 {
        let mut call = rig.call(0, term(1));
        call.document[100 + byte] ^= 1;
        outcomes.push(rig.hand_call(V, 0, call).1.outcome == Err(Refusal::TooManyDocuments));
    }
    assert_eq!(outcomes, [false, false, false, false, true, true]);
    assert!(rig.called(V, 2, term(1)).is_ok(), "another peer has its own budget");
}

/// PROTOCOL V9
#[test]
fn the_attached_certificate_is_adopted_before_the_call_is_judged() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    let mut call = rig.call(0, term(2));
    call.certificate = Some(rig.certified(term(1), 0, 0));
    assert!(rig.hand_call(V, 0, call).1.outcome.is_ok(), "the certificate makes it the leader");
    assert_eq!(rig.term(V), term(1));
}

/// PROTOCOL V9
#[test]
fn the_attached_resignation_ends_the_promise_to_its_signer_before_the_call_is_judged() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    assert!(promised_ms(&rig.called(V, 2, term(2))).is_some());
    let mut call = rig.call(2, term(2));
    call.resign = Some(rig.resign(0, 1, term(1)));
    assert!(rig.hand_call(V, 2, call).1.outcome.is_ok());
}

/// PROTOCOL V10
#[test]
fn the_record_is_synced_before_the_view_leaves() {
    let mut rig = Rig::new();
    let (done, answer) = {
        let call = rig.call(0, term(4));
        rig.hand_call(V, 0, call)
    };
    let view = rig.opened(term(4), &answer.outcome.expect("signed"));
    assert_eq!((view.term, view.voter, view.coordinator), (term(4), crate::plan::id(V), crate::plan::id(0)));
    let synced = done.iter().position(|action| matches!(action, Action::Persist(_))).expect("a write");
    let left = |action: &Action| matches!(action, Action::Send { message: PeerMessage::CallAnswer(_), .. });
    assert!(synced < done.iter().position(left).expect("an answer"));
    let support = rig.nodes[V].persisted[0].support.expect("the record holds the support");
    let expected = (term(4), crate::plan::id(0), Generation(1), LEASE);
    assert_eq!((support.term, support.holder, support.generation, support.lease_ms), expected);
}

/// PROTOCOL V10, L3
#[test]
fn late_doubled_and_dropped_ticks_neither_shorten_a_promise_nor_lengthen_a_lease() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    rig.pass(LEASE - 1);
    (0..3).for_each(|_| drop(rig.tick(V)));
    assert_eq!(promised_ms(&rig.called(V, 2, term(2))), Some(1), "doubled ticks");
    rig.pass(1);
    assert!(rig.called(V, 2, term(2)).is_ok(), "no tick at all: the message itself looks at the time");

    let mut rig = Rig::led();
    let left = rig.lease_left(0).expect("it leads");
    (0..3).for_each(|_| drop(rig.tick(0)));
    assert!(rig.lease_left(0).expect("it leads") <= left);
    rig.pass(left + 1);
    assert!(!rig.holds(0), "the lease ends without a tick");
}

/// PROTOCOL V11
#[test]
fn asked_again_for_the_same_call_it_returns_the_stored_bytes_and_leaves_its_promise() {
    let mut rig = Rig::new();
    let first = rig.called(V, 0, term(1)).expect("signed");
    rig.pass(400);
    assert_eq!(rig.called(V, 0, term(1)), Ok(first));
    assert_eq!(rig.nodes[V].persisted.len(), 1, "nothing new to write");
    assert_eq!(promised_ms(&rig.called(V, 2, term(2))), Some(LEASE - 400), "the promise did not move");
    assert!(rig.called(V, 2, term(1)).is_err(), "the bytes are for their caller alone");
}
