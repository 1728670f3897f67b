//! Traces that broke earlier drafts of the protocol, message by message: two leases at once, or terms that fall. Each
//! test says what broke and the rule that stops it now. Those that cost time are in [`crate::delays`], those of whole
//! clusters among the simulator's scenarios.

use nitro_elect::core::event::{Action, Drop, Notice};
use nitro_elect_protocol::certificate::SkipCode;
use nitro_elect_protocol::change::{Agreed, Change, Ledger, SafeChange};
use nitro_elect_protocol::enclave_api::{Elect, EnclaveRefusal, Request, Response};
use nitro_elect_protocol::ids::{ClusterId, Generation, Term};
use nitro_elect_protocol::limits::{ENCLAVE_CERTIFICATES_MAX, TERM_MAX};
use nitro_elect_protocol::peer::{PeerMessage, Refusal};
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_tests::sim::standin::StandIn;

use crate::forgery::{promised_ms, term};
use crate::plan::{LEASE, Plan, STEP, id};
use crate::rig::Rig;
use crate::succession;

/// The voter whose support is needed twice.
const V: usize = 1;

/// What broke: A calls a term, B signs, A restarts before its own view was durable and calls the same term with a new
/// t0; the old view of B counts, and two leases run. The rule: the own view is durable before the call leaves.
#[test]
fn a_term_called_twice() {
    let mut rig = Rig::new();
    rig.nodes[0].disk_fails = true;
    rig.connect();
    for _ in 0..STEP {
        rig.pass(1);
        let done = rig.tick(0);
        rig.settle_questions_and_prevotes();
        assert!(
            !crate::forgery::sent_to(&done, V).iter().any(|message| matches!(message, PeerMessage::Call(_)))
        );
    }
    let called = |mail: &crate::rig::Mail| mail.from == 0 && matches!(mail.message, PeerMessage::Call(_));
    assert!(!rig.wire.iter().any(called), "a call that is not durable");
    assert!(rig.nodes[0].persisted.is_empty());
    rig.nodes[0].disk_fails = false;
    rig.run(3 * LEASE);
    assert!(!rig.holders().is_empty(), "it was the disk alone");
}

impl Rig {
    /// Delivers what a pre-vote needs, and nothing of a call.
    fn settle_questions_and_prevotes(&mut self) {
        while !self.questions.is_empty() {
            let question = self.questions.remove(0);
            self.answer(question);
        }
        for mail in
            self.take(|mail| matches!(mail.message, PeerMessage::PreVote(_) | PeerMessage::PreVoteAnswer(_)))
        {
            self.deliver(mail);
        }
    }
}

/// What broke: A leads in a later life, an old Renew of its earlier life takes V's promise back to that, and the last
/// will of the earlier life frees V while the later one leads. The rule: a live promise's generation never goes down.
#[test]
fn a_promise_taken_back_by_an_old_renew() {
    let mut rig = Rig::new();
    let of_the_first_life = rig.certified(term(6), 0, 0);
    let old_renew = rig.renewal(0, term(6), 1);
    rig.nodes[0].generation = Generation(2);
    assert!(rig.called(V, 0, term(5)).is_ok());
    rig.tell(V, 2, PeerMessage::Certificate(Box::new(of_the_first_life)));
    assert_eq!(rig.hand_renewal(V, 0, old_renew).1.outcome, Err(Refusal::EarlierGeneration));
    rig.tell_resign(V, rig.resign(0, 1, Term(TERM_MAX)));
    assert_eq!(promised_ms(&rig.called(V, 2, term(7))), Some(LEASE), "the second life still has its promise");
}

/// What broke: V promised to A's second life, but its record still named the first; V restarts, and the last will of the
/// first frees it. The rule: the record is rewritten when term, holder or generation changes.
#[test]
fn a_stale_generation_on_disk() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    assert!(rig.renewed(V, 0, term(5)).is_ok());
    rig.nodes[0].generation = Generation(2);
    rig.adopt(V, term(6), 0);
    assert!(rig.renewed(V, 0, term(6)).is_ok());
    rig.restart(V);
    rig.tell_resign(V, rig.resign(0, 1, Term(TERM_MAX)));
    assert_eq!(promised_ms(&rig.called(V, 2, term(7))), Some(LEASE));
}

/// What broke: A's call of 1 fails and its Resign(1) is late; B's election of 2 names A, V promises A in 2 with its
/// record still at 1, restarts, and Resign(1) frees it: two leases. The rule: the same.
#[test]
fn a_stale_term_on_disk() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(1)).is_ok());
    let late = rig.resign(0, 1, term(1));
    let of_two = rig.certified(term(2), 2, 0);
    rig.tell(V, 2, PeerMessage::Certificate(Box::new(of_two)));
    assert!(rig.renewed(V, 0, term(2)).is_ok());
    rig.restart(V);
    rig.tell_resign(V, late);
    assert_eq!(promised_ms(&rig.called(V, 3, term(3))), Some(LEASE));
}

/// What broke: two voters promise in 2 without having signed in it, restart without its certificate, and promise the
/// leader of 1 again. The rule: a promise raises the record's term.
#[test]
fn a_term_that_falls() {
    let mut rig = Rig::new();
    let of_one = rig.adopt(V, term(1), 0);
    assert!(rig.renewed(V, 0, term(1)).is_ok());
    rig.pass(LEASE);
    rig.adopt(V, term(2), 2);
    assert!(rig.renewed(V, 2, term(2)).is_ok());
    rig.nodes[V].log = Some(of_one);
    rig.restart(V);
    rig.pass(LEASE);
    assert_eq!(rig.term(V), term(1), "the certificate of 2 is lost");
    assert_eq!(rig.renewed(V, 0, term(1)), Err(Refusal::StaleTerm { last: term(2) }));
}

/// What broke: an enclave that kept a bounded number of terms certified one a second time after others had pushed it
/// out. The rule: a last certified term is never forgotten.
#[test]
fn an_enclave_that_forgets() {
    let mut rig = Rig::new();
    rig.certified(term(1), 0, 0);
    let own = rig.electorate.name.clone();
    for other in 0..=ENCLAVE_CERTIFICATES_MAX {
        rig.electorate.name = format!("rig-{other}");
        rig.certified(term(1), 0, 0);
    }
    rig.electorate.name = own;
    let views = (0..3).map(|voter| rig.sealed(rig.view(term(1), 2, voter))).collect();
    let (electorate, coordinator) = (rig.electorate.clone(), id(2));
    let again = Elect { electorate, term: term(1), coordinator, generation: Generation(1), views };
    let service = rig.enclaves[0].service.as_ref().expect("the enclave runs");
    let answer = service.answer(Request::Elect(Box::new(again)));
    let Response::Refused(EnclaveRefusal::StaleTerm { last }) = answer else { panic!("{answer:?}") };
    assert_eq!(last, term(1));
}

/// What broke: {A,B} become {A,B,C} at one place and {A,B,D} at another, each by a step whose quorums overlap; {A,C} and
/// {B,D} are quorums without a voter in common, and two leaders. And when each voter approved in a single step, one
/// operator's typo and one silent voter left no manifest that a quorum could still approve. The rule: endorse, then
/// approve, with attempts.
#[test]
fn rival_manifests() {
    let [a, b, c, d] = [0, 1, 2, 3];
    let old = succession::of(&[a, b], 0);
    let rivals = [succession::after(&old, &[a, b, c], 0), succession::after(&old, &[a, b, d], 0)];
    assert!(rivals.iter().all(|new| SafeChange::check(&old, new).is_ok()), "overlap alone allows both");
    let [with_c, with_d] = rivals.each_ref().map(|new| Change::between(&old, new));
    let mut of_a = Ledger::new(id(a), &old);
    let mut of_b = Ledger::new(id(b), &old);
    let by_a = succession::signed(&of_a.endorse(with_c, 1, None).expect("free"));
    let by_b = succession::signed(&of_b.endorse(with_d, 1, None).expect("free"));
    assert!(of_a.endorse(with_d, 1, None).is_err() && of_b.endorse(with_c, 1, None).is_err());
    for change in [with_c, with_d] {
        let both = [by_a.clone(), by_b.clone()];
        assert!(
            Agreed::count(change, &old, &both, &StandIn).is_err(),
            "neither has a quorum: nobody approves"
        );
    }
    let second = [&mut of_a, &mut of_b].map(|ledger| {
        succession::signed(&ledger.endorse(with_c, 2, None).expect("a split costs an attempt, nothing else"))
    });
    let agreed = Agreed::count(with_c, &old, &second, &StandIn).expect("a quorum");
    let approvals = [&mut of_a, &mut of_b]
        .map(|ledger| succession::signed(&ledger.approve(with_c, &agreed).expect("endorsed by a quorum")));
    assert!(Agreed::count(with_c, &old, &approvals, &StandIn).is_ok());
    assert!(
        of_a.endorse(with_d, 3, None).is_err() && of_b.endorse(with_d, 3, None).is_err(),
        "never the other"
    );
}

/// The other half of the same: four voters, one silent, one operator's typo.
#[test]
fn rival_manifests_after_a_typo_and_with_a_silent_voter() {
    let old = succession::of(&[0, 1, 2, 3], 1);
    let meant = Change::between(&old, &succession::after(&old, &[0, 1, 2, 3, 4], 1));
    let typo = Change::between(&old, &succession::after(&old, &[0, 1, 2, 3, 5], 1));
    let mut ledgers = [0, 1, 2].map(|voter| Ledger::new(id(voter), &old));
    let [first, second, third] = &mut ledgers;
    for (ledger, change) in [(first, meant), (second, meant), (third, typo)] {
        ledger.endorse(change, 1, None).expect("free");
    }
    let again: Vec<_> = ledgers
        .iter_mut()
        .map(|ledger| succession::signed(&ledger.endorse(meant, 2, None).expect("the next attempt")))
        .collect();
    assert!(Agreed::count(meant, &old, &again, &StandIn).is_ok(), "three of four, without the silent one");
}

/// What broke: promises are a node's for all that it votes on, and a Resign that the same key signed in another cluster
/// freed a voter while the leader of this one led. The rule: every signed message begins with its cluster's id.
#[test]
fn a_resign_replayed_from_another_cluster() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    assert!(rig.renewed(V, 0, term(5)).is_ok());
    let own = rig.electorate.cluster;
    rig.electorate.cluster = ClusterId([0xee; 16]);
    let foreign = rig.resign(0, 1, Term(TERM_MAX));
    rig.electorate.cluster = own;
    let done = rig.tell(V, 2, PeerMessage::Resign(foreign));
    let dropped =
        |action: &Action| matches!(action, Action::Notice(Notice::Dropped { why: Drop::OtherCluster, .. }));
    assert!(done.iter().any(dropped), "{done:?}");
    assert_eq!(promised_ms(&rig.called(V, 2, term(6))), Some(LEASE), "the promise stands");
    rig.tell_resign(V, rig.resign(0, 1, Term(TERM_MAX)));
    assert!(rig.called(V, 2, term(6)).is_ok(), "its own cluster's frees it");
}

/// What broke: the garbage of one Byzantine voter made the enclave refuse the whole request. The rule: bad views are
/// skipped, and listed.
#[test]
fn one_bad_view_spoils_an_election() {
    let rig = Rig::with(Plan::default());
    let mut views: Vec<SealedView> = (0..3).map(|voter| rig.sealed(rig.view(term(1), 0, voter))).collect();
    views.insert(1, SealedView(vec![7; 300]));
    let certificate = rig.counted(term(1), 0, views).certificate.peek().expect("a certificate");
    assert_eq!(certificate.signers, [id(0), id(1), id(2)]);
    let skipped: Vec<(u32, SkipCode)> = certificate.skipped.iter().map(|one| (one.index, one.code)).collect();
    assert_eq!(skipped, [(1, SkipCode::NotOpened)]);
}
