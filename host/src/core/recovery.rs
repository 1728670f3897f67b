//! A voter whose earlier votes are lost, started all the same (DESIGN §3.6): it waits one lease and takes the
//! highest believable term that n - f voters tell in place of its own record. It counts as one of the f until it
//! gets a new key, and says so.

use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::peer::{PeerMessage, PreVote};
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::BTreeMap;

use super::Core;

/// What others told so far.
#[derive(Clone, Debug, Hash)]
pub struct Recovery {
    until: Boot,
    next_question: Boot,
    told: BTreeMap<NodeId, Term>,
}

impl Recovery {
    /// Waits until `until`.
    pub fn new(until: Boot) -> Self {
        Recovery { until, next_question: Boot(0), told: BTreeMap::new() }
    }

    /// When something is due.
    pub fn wake(&self) -> Boot {
        self.next_question
    }
}

impl Core {
    /// A voter told the term of its record.
    pub(super) fn recover_from(&mut self, voter: NodeId, term: Term) {
        if let Some(recovery) = &mut self.recovery {
            recovery.told.insert(voter, term);
        }
    }

    /// Asks, and takes over what was told once that is enough.
    pub(super) fn advance_recovery(&mut self, now: Now) {
        let needed = self.electorate.n() - self.electorate.f();
        let believable = self.believable(now);
        let Some(recovery) = &self.recovery else { return };
        if now.boot >= recovery.until && recovery.told.len() >= needed {
            let told = recovery.told.values().filter(|term| **term <= believable).max();
            let term = told.copied().unwrap_or_default().max(self.certificates.highest_term());
            let given = self.support_for(term, self.me, self.generation);
            self.voter.recovered(given, self.electorate.cluster);
            self.recovery = None;
            self.persist();
        } else if now.boot >= recovery.next_question {
            self.ask_for_terms(now.boot);
        }
    }

    fn ask_for_terms(&mut self, now: Boot) {
        let next = now + self.timing.lease / 2;
        if let Some(recovery) = &mut self.recovery {
            recovery.next_question = next;
        }
        let (electorate, generation) = (self.digest, self.generation);
        let question = PreVote { electorate, generation, round: 0, certificate: None, resign: None };
        self.broadcast(PeerMessage::PreVote(Box::new(question)));
    }
}
