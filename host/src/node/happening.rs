//! What happened at a node, once as fields for programs and once as a sentence for people.
//!
//! Both come from the same value, so a log line, an event on `/v1/watch` and a line of the demo cannot disagree.

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::{Reason, VerifiedCertificate};
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::peer::Refusal;
use nitro_elect_protocol::policy::Rule;
use nitro_elect_protocol::time::Wall;
use serde::Serialize;
use std::fmt;
use tracing::Level;

use super::names::{Named, Names};
use super::told_occasion::ToldOccasion;
use crate::core::event::{CallFailure, CannotStepDown, Notice, Unanswered};
use crate::core::occasion::Occasion;

/// Something that happened, in the order of `seq`.
#[derive(Clone, Debug, Serialize)]
pub struct Happening {
    /// Rises by one with each happening of this process.
    pub seq: u64,
    /// When: milliseconds since 1970 on this machine's wall clock.
    pub at_ms: u64,
    /// The fields.
    #[serde(flatten)]
    pub what: What,
    /// The sentence.
    pub text: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A node is seen alive.
    Active {
        /// The node.
        node: Named,
    },
    /// A node is no longer seen alive.
    Silent {
        /// The node.
        node: Named,
    },
    /// This node called an election.
    Called {
        /// Its term.
        term: Term,
    },
    /// An election of this node came to nothing.
    CallFailed {
        /// Its term, once one was called.
        term: Option<Term>,
        /// Why, with names.
        why: String,
    },
    /// A new certificate counts.
    Elected {
        /// Its term.
        term: Term,
        /// Who leads.
        leader: Named,
        /// Who called the election.
        coordinator: Named,
        /// Why it was needed, as this node saw it.
        occasion: ToldOccasion,
        /// Why this leader.
        reason: &'static str,
        /// Voters whose views counted.
        signers: usize,
        /// What the certificate is worth.
        assurance: Assurance,
    },
    /// This node holds the lease.
    LeaseGained {
        /// Its term.
        term: Term,
    },
    /// This node no longer holds the lease.
    LeaseLost {
        /// The term it was held in.
        term: Term,
        /// Why.
        why: String,
    },
    /// Leader-only work is to end, as this node means to hand over.
    EndWork {
        /// The term that it runs under.
        term: Term,
    },
    /// This node was asked to step down and could not.
    CannotStepDown {
        /// Why.
        why: String,
    },
    /// A voter signed twice.
    Equivocation {
        /// The voter.
        node: Named,
        /// The term.
        term: Term,
    },
    /// An enclave was verified.
    EnclaveAccepted {
        /// Where.
        enclave: String,
        /// Its id in short.
        id: String,
    },
    /// An enclave is not accepted.
    EnclaveRefused {
        /// Where.
        enclave: String,
        /// Why.
        why: String,
    },
    /// An enclave does not answer.
    EnclaveUnreachable {
        /// Where.
        enclave: String,
        /// Why.
        why: String,
    },
    /// An enclave answers again.
    EnclaveReachable {
        /// Where.
        enclave: String,
    },
    /// The list of an open cluster has changed.
    ListChanged {
        /// How many nodes it has.
        members: usize,
    },
}

impl What {
    /// The notice with names instead of keys; nothing for what is counted or timed rather than told.
    pub(super) fn of(notice: &Notice, names: &Names, enclave: impl Fn(usize) -> String) -> Option<What> {
        Some(match notice {
            Notice::Active(node) => What::Active { node: names.of(node) },
            Notice::Silent(node) => What::Silent { node: names.of(node) },
            Notice::Called { term } => What::Called { term: *term },
            Notice::CallFailed { term, why } => What::CallFailed { term: *term, why: failure(why, names) },
            Notice::Adopted { certificate, occasion } => elected(certificate, *occasion, names),
            Notice::LeaseGained { term, .. } => What::LeaseGained { term: *term },
            Notice::LeaseLost { term, why } => What::LeaseLost { term: *term, why: why.to_string() },
            Notice::EndWork { term } => What::EndWork { term: *term },
            Notice::CannotStepDown(why) => What::CannotStepDown { why: refusal(why, names) },
            Notice::Equivocation(evidence) => {
                What::Equivocation { node: names.of(&evidence.voter), term: evidence.term }
            }
            Notice::Enclave { enclave: index, verdict: Ok(id) } => {
                What::EnclaveAccepted { enclave: enclave(index.0), id: id.clone() }
            }
            // Silence is told with its reason by who asked.
            Notice::Enclave { verdict: Err(why), .. } if *why == Unanswered.to_string() => return None,
            Notice::Enclave { enclave: index, verdict: Err(why) } => {
                What::EnclaveRefused { enclave: enclave(index.0), why: why.clone() }
            }
            Notice::ListChanged { members } => What::ListChanged { members: *members },
            Notice::LeaseExtended { .. } | Notice::WorkMayGoOn => return None,
            Notice::Dropped { .. } | Notice::Proven(_) => return None,
        })
    }

    /// The name that programs know it by.
    pub fn name(&self) -> &'static str {
        match self {
            What::Active { .. } => "active",
            What::Silent { .. } => "silent",
            What::Called { .. } => "called",
            What::CallFailed { .. } => "call_failed",
            What::Elected { .. } => "elected",
            What::LeaseGained { .. } => "lease_gained",
            What::LeaseLost { .. } => "lease_lost",
            What::EndWork { .. } => "end_work",
            What::CannotStepDown { .. } => "cannot_step_down",
            What::Equivocation { .. } => "equivocation",
            What::EnclaveAccepted { .. } => "enclave_accepted",
            What::EnclaveRefused { .. } => "enclave_refused",
            What::EnclaveUnreachable { .. } => "enclave_unreachable",
            What::EnclaveReachable { .. } => "enclave_reachable",
            What::ListChanged { .. } => "list_changed",
        }
    }

    /// How much it matters in a log.
    pub(super) fn level(&self) -> Level {
        match self {
            What::Equivocation { .. } | What::EnclaveRefused { .. } => Level::ERROR,
            What::Silent { .. }
            | What::LeaseLost { .. }
            | What::CannotStepDown { .. }
            | What::EnclaveUnreachable { .. } => Level::WARN,
            What::Called { .. } => Level::DEBUG,
            _ => Level::INFO,
        }
    }

    /// Whether it repeats for as long as its cause lasts, and is told with restraint.
    pub(super) fn repeats(&self) -> bool {
        matches!(self, What::CallFailed { .. } | What::EnclaveRefused { .. })
    }

    pub(super) fn at(self, seq: u64, now: Wall) -> Happening {
        Happening { seq, at_ms: now.0, text: self.to_string(), what: self }
    }
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Active { node } => write!(out, "{node} is active"),
            What::Silent { node } => write!(out, "{node} has fallen silent"),
            What::Called { term } => write!(out, "called the election of term {term}"),
            What::CallFailed { term: Some(term), why } => {
                write!(out, "the election of term {term} failed: {why}")
            }
            What::CallFailed { term: None, why } => write!(out, "no election yet: {why}"),
            What::Elected { term, leader, occasion, reason, signers, assurance, .. } => {
                let worth = worth(*assurance);
                write!(out, "{leader} leads term {term}: {occasion} ")?;
                write!(out, "({reason}; {signers} voters signed; {worth})")
            }
            What::LeaseGained { term } => write!(out, "this node holds the lease of term {term}"),
            What::LeaseLost { term, why } => {
                write!(out, "this node no longer holds the lease of term {term}: {why}")
            }
            What::EndWork { term } => {
                write!(out, "the work under term {term} is to end: this node means to hand over")
            }
            What::CannotStepDown { why } => write!(out, "this node does not step down: {why}"),
            What::Equivocation { node, term } => {
                write!(out, "{node} signed two different views for term {term}: it is not honest")
            }
            What::EnclaveAccepted { enclave, id } => write!(out, "enclave {id} at {enclave} is accepted"),
            What::EnclaveRefused { enclave, why } => {
                write!(out, "the enclave at {enclave} is not accepted: {why}")
            }
            What::EnclaveUnreachable { enclave, why } => {
                write!(out, "the enclave at {enclave} does not answer: {why}")
            }
            What::EnclaveReachable { enclave } => write!(out, "the enclave at {enclave} answers again"),
            What::ListChanged { members: 1 } => write!(out, "the open cluster has this one member now"),
            What::ListChanged { members } => write!(out, "the open cluster has {members} members now"),
        }
    }
}

fn elected(certificate: &VerifiedCertificate, occasion: Occasion, names: &Names) -> What {
    What::Elected {
        term: certificate.term,
        leader: names.of(&certificate.leader),
        coordinator: names.of(&certificate.coordinator),
        occasion: ToldOccasion::of(occasion, names),
        reason: reason(certificate.reason),
        signers: certificate.signers.len(),
        assurance: certificate.assurance(),
    }
}

/// What is behind a certificate, in plain sight when it is less than the real thing.
pub fn worth(assurance: Assurance) -> String {
    match assurance {
        Assurance::Attested => assurance.to_string(),
        less => less.to_string().to_uppercase(),
    }
}

/// Why a leader was chosen, in words.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Successor => "named by the leader before it",
        Reason::Incumbent => "it led already",
        Reason::Policy(Rule::Priority) => "by priority",
        Reason::Policy(Rule::Highest) => "by the highest address",
        Reason::Policy(Rule::Rotate) => "by rotation",
        Reason::Policy(Rule::Lottery) => "by lottery",
    }
}

/// The failure with names, where its own text has the heads of keys.
fn failure(why: &CallFailure, names: &Names) -> String {
    match why {
        CallFailure::PreVote { yes, needed, refusals } => {
            format!("{yes} of {needed} voters would vote; {}", told(refusals, names))
        }
        CallFailure::Views { views, needed, refusals } => {
            format!("{views} of {needed} views came; {}", told(refusals, names))
        }
        other => other.to_string(),
    }
}

/// The same for a hand-over that was refused.
fn refusal(why: &CannotStepDown, names: &Names) -> String {
    match why {
        CannotStepDown::NotASuccessor(node) => {
            format!("{} is not an active, eligible voter besides this one", names.of(node))
        }
        CannotStepDown::Bound { node, ms } => {
            format!("{} is bound by a promise from before its start for {ms} ms more", names.of(node))
        }
        other => other.to_string(),
    }
}

fn told(refusals: &[(NodeId, Refusal)], names: &Names) -> String {
    if refusals.is_empty() {
        return "the others did not answer".into();
    }
    let each: Vec<String> = refusals.iter().map(|(node, why)| format!("{}: {why}", names.of(node))).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(notice: &Notice) -> Option<What> {
        What::of(notice, &Names::default(), |index| format!("tcp://127.0.0.1:590{index}"))
    }

    #[test]
    fn a_failed_election_says_who_refused_and_why() {
        let refusals = vec![(NodeId([0xab; 32]), Refusal::Promised { ms: 40 })];
        let why = CallFailure::PreVote { yes: 2, needed: 3, refusals };
        let text = told(&Notice::CallFailed { term: None, why }).unwrap().to_string();
        assert!(text.contains("2 of 3 voters would vote; abababab: it has promised"), "{text}");
    }

    #[test]
    fn a_refused_hand_over_names_who_cannot_take_over() {
        let node = NodeId([0xab; 32]);
        let cases = [
            (CannotStepDown::NotASuccessor(node), "abababab is not an active"),
            (
                CannotStepDown::Bound { node, ms: 40 },
                "abababab is bound by a promise from before its start for 40 ms",
            ),
        ];
        for (why, said) in cases {
            let text = told(&Notice::CannotStepDown(why)).unwrap().to_string();
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn the_fields_carry_the_name_that_programs_know() {
        let notices = [
            Notice::Active(NodeId([1; 32])),
            Notice::Called { term: Term(7) },
            Notice::ListChanged { members: 3 },
            Notice::Enclave { enclave: crate::core::event::EnclaveIndex(0), verdict: Err("no".into()) },
        ];
        for notice in notices {
            let happening = told(&notice).unwrap().at(1, Wall(2));
            let json = serde_json::to_value(&happening).unwrap();
            assert_eq!(json["event"], happening.what.name());
            assert_eq!(json["text"], happening.text);
            assert_eq!((&json["seq"], &json["at_ms"]), (&1.into(), &2.into()));
        }
    }

    #[test]
    fn what_is_counted_or_timed_is_not_told() {
        let extended = Notice::LeaseExtended { term: Term(1), until: nitro_elect_protocol::time::Boot(1) };
        assert_eq!(told(&extended), None);
    }
}
