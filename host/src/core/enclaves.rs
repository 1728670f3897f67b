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
/// How often an enclave is asked whether it still answers: as often as monitoring looks at the node, so that a lost one is
/// told before an election needs it.
const LOOK: Duration = Duration::from_secs(10);

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
    /// The enclave of which was told that it is accepted and answers.
    told: Option<EnclaveId>,
    document_due: Boot,
    health_due: Boot,
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
            let known = slot.known.as_ref().map(|known| known.enclave.id());
            (known, slot.health, slot.told, slot.document_due, slot.health_due).hash(state);
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

    /// When an enclave is to be asked next.
    pub fn next_due(&self) -> Option<Boot> {
        let due = |(index, slot): (usize, &Slot)| {
            let idle = |purpose| !self.is_pending(EnclaveIndex(index), purpose);
            let document = idle(Purpose::Attest).then_some(slot.document_due);
            let health = idle(Purpose::Health).then_some(slot.health_due);
            document.into_iter().chain(health).min()
        };
        self.slots.iter().enumerate().filter_map(due).min()
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

    /// Fetches documents that are missing or grow old, and looks whether the enclaves still answer.
    pub(super) fn advance_enclaves(&mut self, now: Now) {
        let retry = self.enclave_retry();
        for index in 0..self.enclaves.slots.len() {
            let slot = &mut self.enclaves.slots[index];
            let (document, health) = (slot.document_due <= now.boot, slot.health_due <= now.boot);
            if document {
                slot.document_due = now.boot + retry;
            }
            if health {
                slot.health_due = now.boot + LOOK;
            }
            if document {
                self.ask(EnclaveIndex(index), Purpose::Attest, Request::Attest { nonce: None });
            }
            if health {
                self.ask(EnclaveIndex(index), Purpose::Health, Request::Health);
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
        self.enclaves.slots[enclave.0].health = Some((now.boot, id));
        if !self.accepts_enclave(enclave, now) {
            self.ask(enclave, Purpose::Attest, Request::Attest { nonce: None });
        }
    }

    /// Whether the enclave that answered last is the one whose document is good; tells of it if that is news.
    fn accepts_enclave(&mut self, enclave: EnclaveIndex, now: Now) -> bool {
        let slot = &mut self.enclaves.slots[enclave.0];
        let Some((_, id)) = slot.health else { return false };
        let good = |known: &Known| known.enclave.id() == id && now.wall <= known.enclave.good_until();
        if !slot.known.as_ref().is_some_and(good) {
            return false;
        }
        slot.error = None;
        if slot.told.replace(id) != Some(id) {
            self.out.push(Action::Notice(Notice::Enclave { enclave, verdict: Ok(id.short()) }));
        }
        true
    }

    fn on_document(&mut self, index: EnclaveIndex, document: Vec<u8>, now: Now) {
        let when = When::Live { now: now.wall };
        let verdict = self.crypto.verify_enclave(&document, &self.electorate.trust, None, when);
        let slot = &mut self.enclaves.slots[index.0];
        match verdict {
            Ok(enclave) => {
                slot.document_due = now.boot + RENEWAL.min(self.electorate.trust.max_age() / 3);
                slot.known = Some(Known { document, enclave });
                // No sign of life: a proxy may have answered from its cache. One that answered already is not asked again:
                // behind a balancer of two enclaves, question and document would follow each other without end.
                if slot.health.is_none() {
                    self.ask(index, Purpose::Health, Request::Health);
                }
                self.accepts_enclave(index, now);
            }
            Err(error) => self.enclave_failed(index, error.to_string(), now),
        }
    }

    /// It is looked at again soon; an answer of one whose document is missing has that fetched.
    fn enclave_failed(&mut self, index: EnclaveIndex, why: String, now: Now) {
        let retry = now.boot + self.enclave_retry();
        let slot = &mut self.enclaves.slots[index.0];
        slot.health = None;
        // An enclave that was only silent is the one that was accepted.
        slot.told = slot.told.filter(|_| why == Unanswered.to_string());
        slot.health_due = slot.health_due.min(retry);
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
