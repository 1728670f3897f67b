//! Steps 3 and 5: the enclave counts, and the result is published (DESIGN §3.2).

use nitro_elect_protocol::certificate::SignedCertificate;
use nitro_elect_protocol::enclave_api::{Elect, EnclaveRefusal, Request, Response};
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{EnclaveId, Term};
use nitro_elect_protocol::peer::{CallForViews, PeerMessage};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::BTreeMap;

use super::Phase;
use crate::core::Core;
use crate::core::enclaves::Purpose;
use crate::core::event::{CallFailure, EnclaveIndex, Unanswered};

/// An election that the enclave counts.
#[derive(Clone, Debug, Hash)]
pub struct Tallying {
    /// The term.
    pub term: Term,
    /// When the answer is overdue.
    pub deadline: Boot,
    endpoint: EnclaveIndex,
    enclave: EnclaveId,
    document: Vec<u8>,
    /// Whether the enclave was asked for its latest certificate already.
    asked_latest: bool,
}

impl Core {
    /// Hands the views to the enclave.
    pub(super) fn tally(
        &mut self,
        term: Term,
        endpoint: EnclaveIndex,
        call: CallForViews,
        views: Vec<SealedView>,
        now: Now,
    ) {
        let elect = Elect {
            electorate: self.electorate.clone(),
            term,
            coordinator: self.me,
            generation: self.generation,
            views,
        };
        self.campaign.phase = Phase::Tally(Tallying {
            term,
            deadline: now.boot + self.timing.step(),
            endpoint,
            enclave: call.enclave,
            document: call.document,
            asked_latest: false,
        });
        self.ask(endpoint, Purpose::Elect { term }, Request::Elect(Box::new(elect)));
    }

    /// The enclave has counted, or did not.
    pub(in crate::core) fn on_elect_answer(
        &mut self,
        term: Term,
        answer: Result<Response, Unanswered>,
        now: Now,
    ) {
        match answer {
            Ok(Response::Elected { certificate, evidence }) => {
                self.publish_evidence(evidence, now);
                self.result(term, certificate, now);
            }
            Ok(Response::Refused(refusal)) => self.tally_refused(term, refusal, now),
            Ok(_) => self.tally_failed(term, "it answered something else than was asked".into(), now),
            Err(Unanswered) => self.ask_latest(term, now),
        }
    }

    /// The enclave said what it certified last.
    pub(in crate::core) fn on_latest_answer(
        &mut self,
        term: Term,
        answer: Result<Response, Unanswered>,
        now: Now,
    ) {
        match answer {
            Ok(Response::Latest { certificate }) => self.result(term, certificate, now),
            Ok(Response::Refused(refusal)) => self.tally_failed(term, refusal.to_string(), now),
            _ => self.tally_failed(term, "it did not answer".into(), now),
        }
    }

    /// A certificate came from an enclave: adopts it if it is right, and publishes it.
    fn result(&mut self, term: Term, certificate: SignedCertificate, now: Now) {
        let Ok(peeked) = certificate.peek() else {
            return self.tally_failed(term, "its certificate cannot be read".into(), now);
        };
        if peeked.term <= self.certificates.highest_term() {
            return;
        }
        let Some(document) = self.document_for(&peeked.enclave) else {
            return self.tally_failed(term, "its certificate is another enclave's".into(), now);
        };
        let bundle = Bundle { certificate, document, promises: Vec::new() };
        match bundle.verify(&*self.crypto, &self.electorate, now.wall) {
            Ok(verified) => {
                self.adopt(bundle, verified, now);
                self.publish(now);
            }
            Err(error) => self.tally_failed(term, error.to_string(), now),
        }
    }

    /// The document that came with the call, or is known of an endpoint.
    fn document_for(&self, enclave: &EnclaveId) -> Option<Vec<u8>> {
        let tallying = match &self.campaign.phase {
            Phase::Tally(phase) => Some((phase.enclave, &phase.document)),
            _ => None,
        };
        let awaited = self.awaited.as_ref().map(|awaited| (awaited.enclave, &awaited.document));
        let known = self.enclaves.document_of(enclave).map(|known| (known.enclave.id(), &known.document));
        let mut all = [tallying, awaited, known].into_iter().flatten();
        all.find(|(id, _)| id == enclave).map(|(_, document)| document.clone())
    }

    /// Sends the newest certificate to all; if it names somebody else, with a `Resign` of this node's own call.
    fn publish(&mut self, now: Now) {
        let Some(held) = self.current() else { return };
        let (bundle, certificate) = (held.bundle.clone(), held.verified.clone());
        let mine =
            certificate.coordinator == self.me && certificate.coordinator_generation == self.generation;
        self.broadcast(PeerMessage::Certificate(Box::new(bundle)));
        if mine && certificate.leader != self.me {
            self.resign(None, now);
        }
    }

    fn tally_refused(&mut self, term: Term, refusal: EnclaveRefusal, now: Now) {
        if let EnclaveRefusal::TooFewViews { evidence, .. } | EnclaveRefusal::NoCandidate { evidence } =
            &refusal
        {
            self.publish_evidence(evidence.clone(), now);
        }
        if let EnclaveRefusal::StaleTerm { last } = refusal {
            self.hear_term(self.me, last);
            return self.ask_latest(term, now);
        }
        self.tally_failed(term, refusal.to_string(), now);
    }

    fn tally_failed(&mut self, term: Term, why: String, now: Now) {
        let current = matches!(&self.campaign.phase, Phase::Tally(phase) if phase.term == term);
        if current {
            self.turn_enclave();
            self.give_up(term, CallFailure::Enclave(why), now);
            self.wait_after_refusals(1, &BTreeMap::new(), now.boot);
        }
    }

    /// No answer: the same enclave may have certified all the same.
    fn ask_latest(&mut self, term: Term, now: Now) {
        let step = self.timing.step();
        let Phase::Tally(phase) = &mut self.campaign.phase else { return };
        if phase.term != term || std::mem::replace(&mut phase.asked_latest, true) {
            return;
        }
        phase.deadline = now.boot + step;
        let endpoint = phase.endpoint;
        let electorate = self.digest;
        self.ask(endpoint, Purpose::Latest { term }, Request::Latest { electorate });
    }

    pub(super) fn advance_tally(&mut self, now: Now) {
        let Phase::Tally(phase) = &self.campaign.phase else { return };
        if now.boot < phase.deadline {
            return;
        }
        let (term, asked) = (phase.term, phase.asked_latest);
        if asked {
            self.tally_failed(term, "it did not answer".into(), now);
        } else {
            self.ask_latest(term, now);
        }
    }

    /// Publishes what the enclave found, if it proves something.
    fn publish_evidence(&mut self, evidence: Vec<Evidence>, now: Now) {
        for piece in evidence {
            let me = self.me;
            self.hear_evidence(me, piece, now);
        }
    }

    /// A voter that signed and hears nothing asks the enclave itself: a coordinator that crashed must not lose
    /// the result.
    pub(in crate::core) fn advance_awaited(&mut self, now: Now) {
        let retry = self.timing.lease;
        let Some(awaited) = self.awaited.as_mut().filter(|awaited| awaited.due <= now.boot) else { return };
        awaited.due = now.boot + retry;
        let (term, enclave) = (awaited.term, awaited.enclave);
        let electorate = self.digest;
        let slots = self.enclaves.slots().iter().enumerate();
        let behind = slots
            .filter(|(_, slot)| slot.known.as_ref().is_none_or(|known| known.enclave.id() == enclave))
            .map(|(index, _)| EnclaveIndex(index))
            .collect::<Vec<_>>();
        for endpoint in behind {
            self.ask(endpoint, Purpose::Latest { term }, Request::Latest { electorate });
        }
    }
}
