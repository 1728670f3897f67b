//! §3: would a call have a chance? Node 1 asks; the others' answers are made by hand.

use nitro_elect::core::event::{Action, CallFailure, Command, EnclaveIndex, Notice};
use nitro_elect_protocol::enclave_api::Request;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::peer::{PeerMessage, PreVoteAnswer, Refusal};

use crate::forgery::term;
use crate::plan::{LEASE, Plan, STEP};
use crate::rig::Rig;

/// The node that asks.
const C: usize = 1;

/// The round of a pre-vote among these actions.
pub fn asks(done: &[Action]) -> Option<u64> {
    done.iter().find_map(|action| match action {
        Action::Send { message: PeerMessage::PreVote(question), .. } => Some(question.round),
        _ => None,
    })
}

/// The term of a call among these actions.
pub fn calls(done: &[Action]) -> Option<Term> {
    done.iter().find_map(|action| match action {
        Action::Send { message: PeerMessage::Call(call), .. } => Some(call.term),
        _ => None,
    })
}

impl Rig {
    /// Answers every question that waits.
    pub fn answer_all(&mut self) -> Vec<Action> {
        let questions = std::mem::take(&mut self.questions);
        questions.into_iter().flat_map(|question| self.answer(question)).collect()
    }

    /// Lets time pass by the millisecond until a node asks for a pre-vote; how long that took, and its round.
    pub fn until_asks(&mut self, node: usize, limit_ms: u64) -> Option<(u64, u64)> {
        let begun = self.elapsed();
        loop {
            if let Some(round) = asks(&self.tick(node)) {
                return Some((self.elapsed() - begun, round));
            }
            if self.elapsed() - begun >= limit_ms {
                return None;
            }
            self.pass(1);
        }
    }

    /// Node 1 is connected to all and has asked; its round.
    pub fn asking(plan: Plan) -> (Rig, u64) {
        let mut rig = Rig::with(plan);
        rig.tick(C);
        [0, 2, 3].into_iter().for_each(|peer| drop(rig.up(C, peer)));
        // Its enclaves' documents, and then what they say to its first look at them, which grows old.
        rig.answer_all();
        rig.answer_all();
        rig.pass(STEP + 1);
        let (_, round) = rig.until_asks(C, LEASE).expect("no lease is known");
        (rig, round)
    }

    /// A voter answers the pre-vote.
    pub fn answers(&mut self, round: u64, voter: usize, refusal: Option<Refusal>) -> Vec<Action> {
        self.says(
            voter,
            PreVoteAnswer { round, refusal, record_term: Term(0), eligible: true, certificate: None },
        )
    }

    fn says(&mut self, voter: usize, answer: PreVoteAnswer) -> Vec<Action> {
        self.tell(C, voter, PeerMessage::PreVoteAnswer(Box::new(answer)))
    }
}

/// PROTOCOL P1
#[test]
fn a_yes_binds_nobody_and_uses_up_no_term() {
    let mut rig = Rig::new();
    let (done, answer) = rig.prevoted(1, 0);
    assert_eq!((answer.refusal, answer.record_term), (None, Term(0)));
    assert!(!done.iter().any(|action| matches!(action, Action::Persist(_))));
    assert!(rig.prevoted(1, 2).1.refusal.is_none(), "it promised nothing to the first");
    assert!(rig.called(1, 2, term(1)).is_ok());
    rig.pass(LEASE);
    assert_eq!(rig.prevoted(1, 2).1.record_term, term(1));
    assert!(rig.prevoted(1, 0).1.refusal.is_none(), "and answers count as no hold: no back-off");
}

/// PROTOCOL P2
#[test]
fn a_call_leaves_after_q_yes_answers_and_the_enclaves_and_not_before() {
    let (mut rig, round) = Rig::asking(Plan::default());
    assert_eq!(calls(&rig.answers(round, 0, None)), None, "two of three");
    assert_eq!(calls(&rig.answers(round, 0, None)), None, "the same again");
    assert_eq!(calls(&rig.answers(round + 1, 2, None)), None, "another round's");
    assert_eq!(calls(&rig.answers(round, 2, None)), None, "the enclave has not answered");
    assert!(calls(&rig.answer_all()).is_some());
}

/// PROTOCOL P2
#[test]
fn the_enclaves_answer_alone_is_not_enough() {
    let (mut rig, round) = Rig::asking(Plan::default());
    assert_eq!(calls(&rig.answer_all()), None);
    assert_eq!(calls(&rig.answers(round, 0, None)), None);
    assert!(calls(&rig.answers(round, 2, None)).is_some());
}

/// PROTOCOL P2
#[test]
fn an_answer_of_the_enclave_older_than_a_step_counts_for_nothing() {
    let (mut rig, round) = Rig::asking(Plan::default());
    rig.answer_all();
    rig.answers(round, 0, None);
    // The driver's tick at the end of the step is lost.
    rig.pass(STEP + 1);
    assert_eq!(calls(&rig.answers(round, 2, None)), None);
}

/// PROTOCOL P2
#[test]
fn without_an_eligible_voter_among_them_nobody_is_called() {
    let (mut rig, round) = Rig::asking(Plan::default());
    rig.pass(1);
    rig.command(C, Command::Drain(true));
    // Its own yes was given before; the next round's is not eligible.
    for voter in [0, 2, 3] {
        rig.answers(round, voter, Some(Refusal::Promised { ms: 1 }));
    }
    let (_, round) = rig.until_asks(C, LEASE).expect("it tries again");
    rig.answer_all();
    for voter in [0, 2] {
        let no =
            PreVoteAnswer { round, refusal: None, record_term: Term(0), eligible: false, certificate: None };
        assert_eq!(calls(&rig.says(voter, no)), None);
    }
    let why = rig.nodes[C].notices.iter();
    let unwilling =
        why.filter(|notice| matches!(notice, Notice::CallFailed { why: CallFailure::NobodyEligible, .. }));
    assert_eq!(unwilling.count(), 1);
}

/// PROTOCOL P3
#[test]
fn without_the_enclaves_answer_it_turns_to_another_and_starts_over() {
    let (mut rig, round) = Rig::asking(Plan { enclaves: 2, ..Plan::default() });
    assert_eq!(calls(&rig.answers(round, 0, None)), None);
    assert_eq!(calls(&rig.answers(round, 2, None)), None);
    let first = std::mem::take(&mut rig.questions);
    assert_eq!(first.iter().map(|question| question.enclave).collect::<Vec<_>>(), [EnclaveIndex(0)]);
    rig.pass(STEP);
    let next = asks(&rig.tick(C)).expect("a new round");
    assert!(next > round);
    let [question] = &rig.questions[..] else { panic!("one question") };
    assert_eq!((question.enclave, &question.message), (EnclaveIndex(1), &Request::Health));
    rig.answer_all();
    assert_eq!(calls(&rig.answers(round, 3, None)), None, "answers of the round before are void");
    rig.answers(next, 0, None);
    assert!(calls(&rig.answers(next, 2, None)).is_some());
}

/// PROTOCOL P4
#[test]
fn a_leader_under_its_live_lease_asks_the_enclave_alone_and_calls_nobody_without_it() {
    for enclave_answers in [true, false] {
        let mut rig = Rig::led();
        let before = rig.term(0);
        if !enclave_answers {
            rig.enclaves[0].service = None;
        }
        rig.loses = |mail| {
            assert!(!matches!(mail.message, PeerMessage::PreVote(_)) || mail.from != 0, "it asks no voter");
            matches!(mail.message, PeerMessage::Renew(_))
        };
        rig.nodes[0].notices.clear();
        for _ in 0..LEASE / 10 {
            rig.run(10);
            if !rig.holds(0) || rig.term(0) > before {
                break;
            }
        }
        let called = rig.nodes[0].notices.iter().any(|notice| matches!(notice, Notice::Called { .. }));
        assert_eq!((called, rig.holds(0)), (enclave_answers, enclave_answers));
    }
}

/// The pause of node 1 until its next pre-vote after these answers, a yes or a time to wait.
fn pause_after(told_ms: &[Option<u64>], heavier_alive: bool) -> u64 {
    let (mut rig, round) = Rig::asking(Plan::default());
    if heavier_alive {
        rig.hear(C, 0, rig.heartbeat(0, 1));
    }
    for (voter, ms) in [0, 2, 3].into_iter().zip(told_ms) {
        rig.answers(round, voter, ms.map(|ms| Refusal::Promised { ms }));
    }
    rig.until_asks(C, 10 * LEASE).expect("it asks again").0
}

/// PROTOCOL P5
#[test]
fn too_few_yes_answers_are_waited_out_by_the_missing_th_shortest_time_told() {
    let one_missing = pause_after(&[None, Some(900), Some(300)], false);
    assert!((300..=300 + STEP).contains(&one_missing), "{one_missing}");
    let two_missing = pause_after(&[Some(900), Some(300)], false);
    assert!((900..=900 + STEP).contains(&two_missing), "{two_missing}");
}

/// PROTOCOL P5
#[test]
fn a_time_told_counts_for_eight_leases_at_most() {
    let pause = pause_after(&[Some(1_000_000), Some(2_000_000)], false);
    assert!((8 * LEASE..=8 * LEASE + STEP).contains(&pause), "{pause}");
}

/// PROTOCOL P5
#[test]
fn the_rank_adds_half_a_step_each() {
    // The heavier voter is seen alive when the wait is set.
    let alone = pause_after(&[Some(300), Some(300)], false);
    let second = pause_after(&[Some(300), Some(300)], true);
    assert!((300..=300 + STEP).contains(&alone), "{alone}");
    assert_eq!(second, alone + STEP / 2, "the same jitter, one rank more");
}

/// PROTOCOL P6
#[test]
fn a_pre_vote_that_lacked_connections_starts_over_as_soon_as_there_are_enough() {
    let mut rig = Rig::led();
    rig.restart(0);
    assert!(asks(&rig.tick(0)).is_some(), "a leader that restarted asks at once, and finds nobody");
    assert_eq!(asks(&rig.up(0, 1)), None, "two of four are no quorum");
    assert!(asks(&rig.up(0, 2)).is_some());
}

/// The pause of node 1 until its next pre-vote: two voters have promised another for nine tenths of a lease, and node 3
/// resigns from these terms, before the second says so or after.
fn pause_with_resigns(up_to: &[u64], before: bool) -> u64 {
    let (mut rig, round) = Rig::asking(Plan::default());
    let resign = |rig: &mut Rig| {
        for up_to in up_to {
            let resign = rig.resign(3, 1, term(*up_to));
            rig.tell(C, 3, PeerMessage::Resign(resign));
        }
    };
    rig.answers(round, 0, Some(Refusal::Promised { ms: 900 }));
    if before {
        resign(&mut rig);
    }
    rig.answers(round, 2, Some(Refusal::Promised { ms: 900 }));
    if !before {
        resign(&mut rig);
    }
    rig.until_asks(C, 10 * LEASE).expect("it asks again").0
}

/// PROTOCOL P7
#[test]
fn whoever_frees_other_voters_ends_the_times_that_were_told_of_them() {
    for before in [true, false] {
        assert!((900..=900 + STEP).contains(&pause_with_resigns(&[], before)));
        let freed = pause_with_resigns(&[1], before);
        assert!(freed <= STEP, "{freed}");
    }
}

/// PROTOCOL P7
#[test]
fn a_voter_that_resigns_again_and_again_takes_no_jitter_away() {
    let once = pause_with_resigns(&[1], false);
    let often = pause_with_resigns(&(1..=50).collect::<Vec<_>>(), false);
    assert!(once > 0 && once == often, "{once} {often}");
}

/// PROTOCOL P7
#[test]
fn a_resignation_from_a_term_that_is_certified_frees_nobody_new() {
    for (up_to, frees) in [(5, false), (6, true)] {
        let mut rig = Rig::asking(Plan::default()).0;
        rig.adopt(C, term(5), 3);
        rig.pass(LEASE);
        let (_, round) = rig.until_asks(C, LEASE).expect("the certificate's lease is over");
        [0, 3]
            .into_iter()
            .for_each(|voter| drop(rig.answers(round, voter, Some(Refusal::Promised { ms: 900 }))));
        let resign = rig.resign(2, 1, term(up_to));
        rig.tell(C, 2, PeerMessage::Resign(resign));
        let pause = rig.until_asks(C, 10 * LEASE).expect("it asks again").0;
        assert_eq!(pause < 900, frees, "{up_to}: {pause}");
    }
}

/// PROTOCOL P5
#[test]
fn a_failed_pre_vote_tells_who_said_what() {
    let (mut rig, round) = Rig::asking(Plan::default());
    rig.answers(round, 0, Some(Refusal::Promised { ms: 5 }));
    rig.answers(round, 2, Some(Refusal::BackOff { ms: 6 }));
    let told = rig.nodes[C].notices.iter().find_map(|notice| match notice {
        Notice::CallFailed { why: CallFailure::PreVote { yes, needed, refusals }, .. } => {
            Some((*yes, *needed, refusals.iter().map(|(node, _)| *node).collect::<Vec<NodeId>>()))
        }
        _ => None,
    });
    assert_eq!(told, Some((1, 3, vec![crate::plan::id(0), crate::plan::id(2)])));
}
