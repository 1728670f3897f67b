//! The service: one synchronous function from an untrusted request to an answer.
//!
//! It asks the world only through its [`Attestor`]. It may be called from several threads: views are opened and
//! certificates signed outside the one lock, and only [`Memory`]'s check-and-set is under it, so that of any
//! number of requests for one electorate and term at most one is ever answered with a certificate (I1).
//!
//! In order: validate the electorate, count, decide, use up the term, sign. A refusal before the term is used up
//! changes nothing; if signing fails after it, the term stays used up and is answered as forgotten.

use nitro_elect_protocol::certificate::{Certificate, DOMAIN, SignedCertificate, VIEWS_MAX};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::electorate::VERSION;
use nitro_elect_protocol::enclave_api::{Elect, EnclaveRefusal, Health, Request, Response};
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::limits::{ATTEST_NONCE_MAX, MESSAGE_MAX};
use nitro_elect_protocol::peer::{EnvelopeError, open_envelope, seal_envelope};
use nitro_elect_protocol::statement::signing_input;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attestor::{Attestor, ModuleError};
use crate::decision::{Decision, Undecided, decide};
use crate::keys::{SERVICE_VERSION, SigningError};
use crate::memory::{Memory, Reservation};
use crate::tally::{Election, Tally};

/// The election service of one enclave.
pub struct Service<A> {
    attestor: A,
    crypto: Arc<dyn Crypto>,
    memory: Mutex<Memory>,
}

impl<A: Attestor> Service<A> {
    /// A service that has certified nothing yet.
    pub fn new(attestor: A, crypto: Arc<dyn Crypto>) -> Self {
        Service { attestor, crypto, memory: Mutex::default() }
    }

    /// The world that the service sees.
    pub fn attestor(&self) -> &A {
        &self.attestor
    }

    /// Answers one request: a message of [`nitro_elect_protocol::enclave_api`] in its envelope, and so the
    /// answer. Whatever the bytes are, there is an answer.
    pub fn handle(&self, untrusted_request: &[u8]) -> Vec<u8> {
        seal_envelope(&match read(untrusted_request) {
            Ok(request) => self.answer(request),
            Err(refusal) => Response::Refused(refusal),
        })
    }

    /// Answers a request that could be read. Its contents are as untrusted as before.
    pub fn answer(&self, untrusted_request: Request) -> Response {
        let answer = match untrusted_request {
            Request::Attest { nonce } => self.attest(nonce.as_ref().map(|nonce| nonce.as_slice())),
            Request::Elect(elect) => self.elect(*elect),
            Request::Latest { electorate } => {
                self.memory().latest(&electorate).map(|certificate| Response::Latest { certificate })
            }
            Request::Health => Ok(Response::Health(self.health())),
        };
        answer.unwrap_or_else(Response::Refused)
    }

    fn health(&self) -> Health {
        Health { enclave: self.attestor.enclave(), service_version: SERVICE_VERSION.to_owned() }
    }

    fn attest(&self, nonce: Option<&[u8]>) -> Result<Response, EnclaveRefusal> {
        if nonce.is_some_and(|nonce| nonce.len() > ATTEST_NONCE_MAX) {
            return Err(EnclaveRefusal::NonceTooLong);
        }
        let document = self.attestor.attest(nonce).map_err(refusal_of)?;
        Ok(Response::Attestation { document })
    }

    fn elect(&self, elect: Elect) -> Result<Response, EnclaveRefusal> {
        let election = self.admit(&elect)?;
        let mut tally = Tally::of(&election, &elect.views, &self.attestor, &*self.crypto);
        let decided = decide(election.electorate, election.term, &tally.counted, || self.attestor.random());
        let decision = match decided {
            Ok(decision) => decision,
            Err(undecided) => return Err(explain(undecided, tally)),
        };
        let evidence = std::mem::take(&mut tally.evidence);
        let certificate = certificate(&election, tally, decision);

        let reservation = self.memory().reserve(election.digest, election.term)?;
        let signed = self.sign(&reservation, &certificate);
        self.memory().keep(reservation, signed.clone().ok());
        let certificate = signed.map_err(|SigningError| EnclaveRefusal::Module)?;
        Ok(Response::Elected { certificate, evidence })
    }

    /// Refuses what no views could make an election of, before any is opened.
    fn admit<'a>(&self, elect: &'a Elect) -> Result<Election<'a>, EnclaveRefusal> {
        let Elect { electorate, term, coordinator, generation, views } = elect;
        if views.len() > VIEWS_MAX {
            return Err(EnclaveRefusal::TooManyViews);
        }
        if !electorate.faults().is_empty() {
            return Err(EnclaveRefusal::InvalidElectorate);
        }
        if *term < Term(1) || !term.is_in_range() {
            return Err(EnclaveRefusal::TermRange);
        }
        if !electorate.contains(coordinator) {
            return Err(EnclaveRefusal::NotAVoter);
        }
        let (digest, enclave) = (electorate.digest(), self.attestor.enclave());
        self.memory().check(&digest, *term)?;
        let (term, coordinator, generation) = (*term, *coordinator, *generation);
        Ok(Election { electorate, digest, enclave, term, coordinator, generation })
    }

    /// Signs a certificate. The reservation says that no other was or will be signed for its term.
    fn sign(
        &self,
        _reservation: &Reservation,
        certificate: &Certificate,
    ) -> Result<SignedCertificate, SigningError> {
        let bytes = codec::encode(certificate);
        let signature = self.attestor.sign(&signing_input(DOMAIN, &bytes))?;
        Ok(SignedCertificate { bytes, signature })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic under the lock leaves at worst a used-up term without a certificate, which is safe.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a request out of its envelope.
pub fn read(untrusted_request: &[u8]) -> Result<Request, EnclaveRefusal> {
    if untrusted_request.len() > MESSAGE_MAX {
        return Err(EnclaveRefusal::TooLong);
    }
    open_envelope(untrusted_request).map_err(|error| match error {
        EnvelopeError::Version(version) => EnclaveRefusal::UnknownVersion(version),
        EnvelopeError::Decode(_) => EnclaveRefusal::Malformed,
    })
}

fn certificate(election: &Election<'_>, tally: Tally, decision: Decision) -> Certificate {
    let Decision { leader, leader_generation, reason, active, candidates, signers, previous, not_after } =
        decision;
    Certificate {
        version: VERSION,
        cluster: election.electorate.cluster,
        electorate: election.digest,
        enclave: election.enclave,
        term: election.term,
        coordinator: election.coordinator,
        coordinator_generation: election.generation,
        leader,
        leader_generation,
        active,
        candidates,
        signers,
        skipped: tally.skipped,
        reason,
        previous,
        not_after,
    }
}

fn explain(undecided: Undecided, tally: Tally) -> EnclaveRefusal {
    let Tally { skipped, evidence, .. } = tally;
    let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    match undecided {
        Undecided::TooFewViews { counted, needed } => {
            let (counted, needed) = (narrow(counted), narrow(needed));
            EnclaveRefusal::TooFewViews { counted, needed, skipped, evidence }
        }
        Undecided::NoCandidate => EnclaveRefusal::NoCandidate { evidence },
        Undecided::Module(error) => refusal_of(error),
    }
}

fn refusal_of(error: ModuleError) -> EnclaveRefusal {
    match error {
        ModuleError::NoAnswer => EnclaveRefusal::Module,
        ModuleError::TooOften => EnclaveRefusal::Busy,
    }
}
