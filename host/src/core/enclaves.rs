//! The enclaves that this node can ask: their documents, their health, and questions under way.

use nitro_elect_protocol::attestation::{VerifiedEnclave, When};
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use nitro_elect_protocol::ids::{EnclaveId, Term};
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::Core;
use super::event::{Action, EnclaveIndex, Notice, RequestId, Unanswered};

/// How often a document is renewed at the latest: enclaves renew theirs as often (DESIGN §5).
const RENEWAL: Duration = Duration::from_secs(600);

/// What a question was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To see whether it answers.
    Health,
    /// To have its document.
    Attest,
    /// To count the views of this term.
    Elect {
        /// The term.
        term: Term,
    },
    /// To learn what became of this term.
    Latest {
        /// The term.
        term: Term,
    },
}

/// A document and the witness of its checks.
#[derive(Clone, Debug)]
pub struct Known {
    /// The document.
    pub document: Vec<u8>,
    /// The enclave it speaks of.
    pub enclave: VerifiedEnclave,
}

/// One enclave endpoint.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Its verified document.
    pub known: Option<Known>,
    /// When it last answered `Health`, and with which id.
    pub health: Option<(Boot, EnclaveId)>,
    /// Why it is not accepted, or did not answer.
    pub error: Option<String>,
    due: Boot,
}

/// All enclave endpoints.
#[derive(Clone, Debug, Default)]
pub struct Enclaves {
    slots: Vec<Slot>,
    pending: BTreeMap<RequestId, (EnclaveIndex, Purpose)>,
    asked: u64,
}

/// What may be called upon, and which questions are under way.
impl Hash for Enclaves {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for slot in &self.slots {
            (slot.known.as_ref().map(|known| known.enclave.id()), slot.health, slot.due).hash(state);
        }
        (&self.pending, self.asked).hash(state);
    }
}

impl Enclaves {
    /// So many endpoints, none asked yet.
    pub fn new(count: usize) -> Self {
        Enclaves { slots: (0..count).map(|_| Slot::default()).collect(), ..Enclaves::default() }
    }

    /// All endpoints, in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The document of an enclave that answered within `span` and is verified for now.
    pub fn ready(&self, index: EnclaveIndex, span: Duration, now: Now) -> Option<&Known> {
        let slot = self.slots.get(index.0)?;
        let (answered, id) = slot.health?;
        let known = slot.known.as_ref()?;
        let good = known.enclave.id() == id && now.wall <= known.enclave.good_until();
        (good && now.boot.since(answered) <= span).then_some(known)
    }

    /// The document of this enclave, whichever endpoint it is behind.
    pub fn document_of(&self, id: &EnclaveId) -> Option<&Known> {
        self.slots.iter().filter_map(|slot| slot.known.as_ref()).find(|known| known.enclave.id() == *id)
    }

    fn is_pending(&self, index: EnclaveIndex, purpose: Purpose) -> bool {
        self.pending.values().any(|pending| *pending == (index, purpose))
    }

    /// When a document is to be fetched next.
    pub fn next_due(&self) -> Option<Boot> {
        let idle = |index: usize| !self.is_pending(EnclaveIndex(index), Purpose::Attest);
        self.slots.iter().enumerate().filter(|(index, _)| idle(*index)).map(|(_, slot)| slot.due).min()
    }
}

impl Core {
    /// Asks an enclave, unless the same question is under way.
    pub(super) fn ask(&mut self, enclave: EnclaveIndex, purpose: Purpose, message: Request) {
        if enclave.0 >= self.enclaves.slots.len() || self.enclaves.is_pending(enclave, purpose) {
            return;
        }
        self.enclaves.asked += 1;
        let request = RequestId(self.enclaves.asked);
        self.enclaves.pending.insert(request, (enclave, purpose));
        self.out.push(Action::Ask { enclave, request, message });
    }

    /// Fetches documents that are missing or grow old.
    pub(super) fn advance_enclaves(&mut self, now: Now) {
        for index in 0..self.enclaves.slots.len() {
            if self.enclaves.slots[index].due <= now.boot {
                self.enclaves.slots[index].due = now.boot + self.enclave_retry();
                self.ask(EnclaveIndex(index), Purpose::Attest, Request::Attest { nonce: None });
            }
        }
    }

    fn enclave_retry(&self) -> Duration {
        (self.timing.lease * 2).max(Duration::from_millis(500))
    }

    /// An enclave answered, or will not.
    pub(super) fn on_enclave(&mut self, request: RequestId, answer: Result<Response, Unanswered>, now: Now) {
        let Some((enclave, purpose)) = self.enclaves.pending.remove(&request) else { return };
        match (purpose, answer) {
            (Purpose::Attest, Ok(Response::Attestation { document })) => {
                self.on_document(enclave, document, now)
            }
            (Purpose::Health, Ok(Response::Health(health))) => self.on_health(enclave, health.enclave, now),
            (Purpose::Attest | Purpose::Health, answer) => self.enclave_failed(enclave, no_use(answer), now),
            (Purpose::Elect { term }, answer) => self.on_elect_answer(term, answer, now),
            (Purpose::Latest { term }, answer) => self.on_latest_answer(term, answer, now),
        }
    }

    fn on_health(&mut self, enclave: EnclaveIndex, id: EnclaveId, now: Now) {
        let slot = &mut self.enclaves.slots[enclave.0];
        slot.health = Some((now.boot, id));
        let known = slot
            .known
            .as_ref()
            .is_some_and(|known| known.enclave.id() == id && now.wall <= known.enclave.good_until());
        if known {
            slot.error = None;
        } else {
            self.ask(enclave, Purpose::Attest, Request::Attest { nonce: None });
        }
    }

    fn on_document(&mut self, index: EnclaveIndex, document: Vec<u8>, now: Now) {
        let when = When::Live { now: now.wall };
        let verdict = self.crypto.verify_enclave(&document, &self.electorate.trust, None, when);
        let slot = &mut self.enclaves.slots[index.0];
        match verdict {
            Ok(enclave) => {
                let news = slot.known.as_ref().is_none_or(|known| known.enclave.id() != enclave.id());
                let id = enclave.id();
                // No sign of life: a proxy may have answered from its cache.
                slot.due = now.boot + RENEWAL.min(self.electorate.trust.max_age() / 3);
                slot.known = Some(Known { document, enclave });
                slot.error = None;
                if news {
                    let verdict = Ok(id.short());
                    self.out.push(Action::Notice(Notice::Enclave { enclave: index, verdict }));
                }
            }
            Err(error) => self.enclave_failed(index, error.to_string(), now),
        }
    }

    /// It is asked for its document again soon: a node that calls no elections would else take it for lost until the next
    /// renewal.
    fn enclave_failed(&mut self, index: EnclaveIndex, why: String, now: Now) {
        let retry = now.boot + self.enclave_retry();
        let slot = &mut self.enclaves.slots[index.0];
        slot.health = None;
        slot.due = slot.due.min(retry);
        if slot.error.as_ref() != Some(&why) {
            slot.error = Some(why.clone());
            self.out.push(Action::Notice(Notice::Enclave { enclave: index, verdict: Err(why) }));
        }
    }
}

/// Why an answer is of no use. A proxy without an enclave is no enclave that was looked at and refused: it is silence.
fn no_use(answer: Result<Response, Unanswered>) -> String {
    match answer {
        Err(unanswered) => unanswered.to_string(),
        Ok(Response::Refused(EnclaveRefusal::Unreachable)) => Unanswered.to_string(),
        Ok(Response::Refused(refusal)) => refusal.to_string(),
        Ok(_) => "it answered something else than was asked".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_cannot_reach_its_enclave_is_silence_and_one_that_turns_the_cluster_away_is_not() {
        let said = |refusal| no_use(Ok(Response::Refused(refusal)));
        assert_eq!(said(EnclaveRefusal::Unreachable), Unanswered.to_string());
        assert_eq!(said(EnclaveRefusal::NotServed), EnclaveRefusal::NotServed.to_string());
    }
}
