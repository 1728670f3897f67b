//! §5, the coordinator's side: when it hands the views over, and what becomes of the result. What the enclave does
//! with them is tested in its own crate.

use nitro_elect::core::event::{Action, EnclaveIndex, Event, Notice, Unanswered};
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{ClusterId, Term};
use nitro_elect_protocol::peer::{CallAnswer, PeerMessage, Refusal};
use nitro_elect_protocol::view::View;

use crate::forgery::{sent_to, sign, term};
use crate::plan::{LEASE, Plan, STEP, id};
use crate::rig::{Question, Rig};

/// Node 0 has called and nobody has answered; the term.
fn collecting(plan: Plan) -> (Rig, Term) {
    let mut rig = Rig::with(plan);
    rig.loses = |mail| matches!(mail.message, PeerMessage::Call(_));
    rig.connect();
    while rig.record_term(0) == 0 {
        rig.run(1);
        assert!(rig.elapsed() < LEASE, "it calls");
    }
    rig.loses = |_| false;
    let called = Term(rig.record_term(0));
    (rig, called)
}

impl Rig {
    fn answers_call(&mut self, term: Term, voter: usize, refusal: Option<Refusal>) -> Vec<Action> {
        let outcome = match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(self.sealed(self.view(term, 0, voter))),
        };
        let answer = CallAnswer { term, outcome, certificate: None };
        self.tell(0, voter, PeerMessage::CallAnswer(Box::new(answer)))
    }

    /// The election that waits for the enclave.
    fn election(&mut self) -> Option<Question> {
        let place =
            self.questions.iter().position(|question| matches!(question.message, Request::Elect(_)))?;
        Some(self.questions.remove(place))
    }

    fn latest(&mut self) -> Option<Question> {
        let place =
            self.questions.iter().position(|question| matches!(question.message, Request::Latest { .. }))?;
        Some(self.questions.remove(place))
    }

    fn failed(&self) -> usize {
        let notices = self.nodes[0].notices.iter();
        notices.filter(|notice| matches!(notice, Notice::CallFailed { term: Some(_), .. })).count()
    }
}

fn handed_over(question: Option<Question>) -> Option<usize> {
    match question?.message {
        Request::Elect(elect) => Some(elect.views.len()),
        _ => None,
    }
}

/// PROTOCOL T1
#[test]
fn the_views_are_handed_over_once_there_are_q_and_every_other_voter_has_answered() {
    let (mut rig, term) = collecting(Plan::default());
    rig.answers_call(term, 1, None);
    rig.answers_call(term, 2, None);
    assert_eq!(handed_over(rig.election()), None, "the fourth may still answer");
    rig.answers_call(term, 3, None);
    assert_eq!(handed_over(rig.election()), Some(4));
    let (mut rig, term) = collecting(Plan::default());
    rig.answers_call(term, 1, Some(Refusal::NotSigning));
    rig.answers_call(term, 2, None);
    rig.answers_call(term, 3, None);
    assert_eq!(handed_over(rig.election()), Some(3), "a refusal is an answer");
}

/// PROTOCOL T1
#[test]
fn nobody_waits_for_a_voter_that_is_closed_or_has_resigned() {
    let (mut rig, term) = collecting(Plan::default());
    rig.answers_call(term, 1, None);
    rig.answers_call(term, 2, None);
    rig.feed(0, Event::PeerDown { peer: id(3) });
    assert_eq!(handed_over(rig.election()), Some(3));
    let (mut rig, term) = collecting(Plan::default());
    rig.answers_call(term, 1, None);
    rig.answers_call(term, 2, None);
    rig.tell_resign(0, rig.resign(3, 1, Term(1)));
    assert_eq!(handed_over(rig.election()), Some(3));
}

/// PROTOCOL T1
#[test]
fn the_views_are_handed_over_half_a_step_past_the_q_th_at_the_latest() {
    let (mut rig, term) = collecting(Plan::default());
    rig.answers_call(term, 1, None);
    rig.pass(20);
    rig.answers_call(term, 2, None);
    rig.pass(STEP / 2 - 1);
    rig.tick(0);
    assert_eq!(handed_over(rig.election()), None);
    rig.pass(1);
    rig.tick(0);
    assert_eq!(handed_over(rig.election()), Some(3));
}

/// PROTOCOL T1
#[test]
fn the_election_fails_when_more_than_n_less_q_refuse_or_close_or_a_step_after_the_call() {
    let (mut rig, term) = collecting(Plan::default());
    rig.answers_call(term, 1, Some(Refusal::NotSigning));
    assert_eq!(rig.failed(), 0);
    rig.feed(0, Event::PeerDown { peer: id(2) });
    assert_eq!(rig.failed(), 1);
    let (mut rig, term) = collecting(Plan::default());
    rig.answers_call(term, 1, None);
    rig.pass(STEP - 1);
    rig.tick(0);
    assert_eq!(rig.failed(), 0);
    rig.pass(1);
    rig.tick(0);
    assert_eq!(rig.failed(), 1);
}

/// PROTOCOL T5
#[test]
fn evidence_that_comes_back_from_the_enclave_is_published_and_kept() {
    let (mut rig, term) = collecting(Plan::default());
    (1..4).for_each(|voter| drop(rig.answers_call(term, voter, None)));
    let question = rig.election().expect("handed over");
    let one = rig.view(term, 0, 3);
    let other = View { eligible: false, ..one.clone() };
    let piece = Evidence::new(sign(one), sign(other));
    let refusal = EnclaveRefusal::NoCandidate { evidence: vec![piece.clone()] };
    let done = rig.answer_with(&question, Ok(Response::Refused(refusal)));
    for voter in 1..4 {
        let told = PeerMessage::Evidence(Box::new(piece.clone()));
        assert!(sent_to(&done, voter).contains(&told));
    }
    rig.settle();
    assert_eq!(rig.status(1).evidence, [piece]);
}

/// Two views that voter 3 signed for one term of this cluster, and the same for another cluster.
fn equivocations(rig: &Rig, term: Term) -> (Evidence, Evidence) {
    let of = |cluster| {
        let one = View { cluster, ..rig.view(term, 0, 3) };
        let other = View { eligible: false, ..one.clone() };
        Evidence::new(sign(one), sign(other))
    };
    (of(rig.view(term, 0, 3).cluster), of(ClusterId([0xee; 16])))
}

/// PROTOCOL T14
#[test]
fn evidence_outlives_a_restart_and_reaches_who_connects_later() {
    let (mut rig, term) = collecting(Plan::default());
    let (piece, _) = equivocations(&rig, term);
    let told = PeerMessage::Evidence(Box::new(piece.clone()));
    rig.tell(0, 1, told.clone());
    assert_eq!(rig.status(0).evidence.len(), 1);
    rig.restart(0);
    assert_eq!(rig.status(0).evidence, [piece]);
    let done = rig.feed(0, Event::PeerUp { peer: id(2), reached_at: None });
    assert!(sent_to(&done, 2).contains(&told));
}

/// PROTOCOL T14
#[test]
fn evidence_of_another_cluster_proves_nothing_here() {
    let (mut rig, term) = collecting(Plan::default());
    let (_, foreign) = equivocations(&rig, term);
    rig.tell(0, 1, PeerMessage::Evidence(Box::new(foreign)));
    assert!(rig.status(0).evidence.is_empty());
}

/// PROTOCOL T11
#[test]
fn without_an_answer_the_same_enclave_is_asked_for_its_latest_certificate() {
    for answered in [true, false] {
        let (mut rig, term) = collecting(Plan::default());
        (1..4).for_each(|voter| drop(rig.answers_call(term, voter, None)));
        let question = rig.election().expect("handed over");
        // The enclave counts, and its answer is lost or comes after the question for the latest.
        let service = rig.enclaves[0].service.as_ref().expect("it runs");
        let Request::Elect(elect) = question.message.clone() else { panic!("an election") };
        assert!(matches!(service.answer(Request::Elect(elect)), Response::Elected { .. }));
        if answered {
            rig.answer_with(&question, Err(Unanswered));
        } else {
            rig.pass(STEP);
            rig.tick(0);
        }
        let latest = rig.latest().expect("asked for the latest");
        assert_eq!(latest.enclave, question.enclave);
        rig.answer(latest);
        assert_eq!(rig.term(0), term, "the result is not lost");
        assert!(rig.holds(0));
    }
}

/// PROTOCOL T11
#[test]
fn an_enclave_that_has_no_certificate_either_is_left_for_another() {
    let (mut rig, term) = collecting(Plan { enclaves: 2, ..Plan::default() });
    (1..4).for_each(|voter| drop(rig.answers_call(term, voter, None)));
    let question = rig.election().expect("handed over");
    rig.answer_with(&question, Err(Unanswered));
    let latest = rig.latest().expect("asked for the latest");
    rig.answer(latest);
    assert_eq!(rig.failed(), 1);
    rig.questions.clear();
    rig.wire.clear();
    rig.nodes[0].notices.clear();
    assert!(rig.until_asks(0, 3 * LEASE).is_some());
    let asked: Vec<EnclaveIndex> = rig
        .questions
        .iter()
        .filter(|question| question.node == 0 && question.message == Request::Health)
        .map(|question| question.enclave)
        .collect();
    assert_eq!(asked, [EnclaveIndex(1)]);
}

/// PROTOCOL T12
#[test]
fn the_coordinator_sends_the_certificate_to_all() {
    let (mut rig, term) = collecting(Plan::default());
    (1..4).for_each(|voter| drop(rig.answers_call(term, voter, None)));
    let question = rig.election().expect("handed over");
    let done = rig.answer(question);
    for voter in 1..4 {
        let messages = sent_to(&done, voter);
        let certificates = messages.iter().filter(|message| matches!(message, PeerMessage::Certificate(_)));
        assert_eq!(certificates.count(), 1);
        assert!(!messages.iter().any(|message| matches!(message, PeerMessage::Resign(_))), "it leads itself");
    }
    rig.settle();
    assert_eq!((1..4).map(|node| rig.term(node)).collect::<Vec<_>>(), [term; 3]);
}

/// PROTOCOL T12
#[test]
fn with_a_certificate_that_names_another_goes_the_coordinators_own_resignation() {
    let (mut rig, term) = collecting(Plan::default());
    for voter in 1..4 {
        let view = View { preferred: Some(id(2)), ..rig.view(term, 0, voter) };
        let answer = CallAnswer { term, outcome: Ok(rig.sealed(view)), certificate: None };
        rig.tell(0, voter, PeerMessage::CallAnswer(Box::new(answer)));
    }
    let question = rig.election().expect("handed over");
    let done = rig.answer(question);
    let told = sent_to(&done, 2);
    let resign = told.iter().find_map(|message| match message {
        PeerMessage::Resign(resign) => Some(resign.peek().expect("one")),
        _ => None,
    });
    let resign = resign.expect("it frees its voters");
    assert_eq!((resign.node, resign.up_to_term), (id(0), term));
    rig.settle();
    assert_eq!(rig.holders(), [2]);
}

/// PROTOCOL T13
#[test]
fn a_voter_that_signed_and_hears_nothing_asks_the_enclave_itself() {
    let mut rig = Rig::new();
    rig.tick(1);
    rig.answer_all();
    assert!(rig.called(1, 0, term(5)).is_ok());
    let lost = rig.certified(term(5), 0, 0);
    rig.pass(3 * STEP - 1);
    rig.tick(1);
    assert!(rig.latest().is_none(), "it gives the coordinator its time");
    rig.pass(1);
    rig.tick(1);
    let question = rig.latest().expect("it asks itself");
    rig.answer(question);
    assert_eq!(rig.term(1), term(5));
    assert_eq!(rig.status(1).bundle.map(|held| held.certificate), Some(lost.certificate));
}

/// PROTOCOL T15
#[test]
fn an_enclave_that_is_lost_is_told_while_the_leader_goes_on_without_it() {
    let mut rig = Rig::led();
    let first = rig.term(0);
    let error = |rig: &Rig| rig.status(0).enclaves[0].error.clone();
    let service = rig.enclaves[0].service.take();
    rig.run(10_000);
    assert_eq!(error(&rig), Some(Unanswered.to_string()));
    assert_eq!((rig.holders(), rig.failed()), (vec![0], 0), "nobody needed it");
    rig.enclaves[0].service = service;
    rig.run(2 * LEASE);
    assert_eq!((error(&rig), rig.term(0)), (None, first));
}

/// PROTOCOL T15
#[test]
fn a_document_without_health_is_no_sign_of_life() {
    let mut rig = Rig::new();
    rig.tick(1);
    for _ in 0..2 {
        for question in std::mem::take(&mut rig.questions) {
            match question.message {
                Request::Health => rig.answer_with(&question, Err(Unanswered)),
                _ => rig.answer(question),
            };
        }
    }
    let enclave = &rig.status(1).enclaves[0];
    assert!(enclave.verified.is_some(), "its document is good");
    assert_eq!(enclave.error, Some(Unanswered.to_string()));
    rig.pass(2 * LEASE);
    rig.tick(1);
    rig.answer_all();
    assert_eq!(rig.status(1).enclaves[0].error, None);
}

/// PROTOCOL T15
#[test]
fn two_enclaves_behind_one_address_do_not_keep_a_node_asking() {
    let mut rig = Rig::with(Plan { enclaves: 2, ..Plan::default() });
    rig.tick(1);
    let mut asked = 0;
    while let Some(question) = rig.questions.pop() {
        asked += 1;
        assert!(asked < 20, "it asks without end");
        // Documents come from one of them and health from the other.
        let enclave = EnclaveIndex(usize::from(question.message == Request::Health));
        let service = rig.enclaves[enclave.0].service.as_ref().expect("it runs");
        let answer = Ok(service.answer(question.message.clone()));
        rig.answer_with(&question, answer);
    }
    assert!(asked > 3);
}
