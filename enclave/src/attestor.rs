//! All that the service asks of the world: its keys and the security module.
//!
//! [`Attestor`] is the service's only way out. [`ModuleAttestor`] is the one that products use: [`Keys`] behind a
//! [`Module`], which is the Nitro Secure Module ([`crate::nsm::Nsm`]) or, outside an enclave, a simulated one of
//! the same behaviour. Documents carry the enclave's own keys and a caller's nonce, nothing else of a caller's:
//! whoever could choose another field of this module's documents could impersonate the enclave.
//!
//! Calls to the module are serialised, those with a nonce bounded per second. The document for callers without a
//! nonce is kept and renewed every [`DOCUMENT_RENEWAL`], outside that bound, so that no flood of nonces keeps
//! coordinators from theirs. If a renewal fails the old document serves on: voters judge its age themselves.

use nitro_elect_protocol::ids::EnclaveId;
use nitro_elect_protocol::limits::{ATTEST_NONCE_MAX, DOCUMENT_MAX};
use nitro_elect_protocol::seal::{OpenError, SealedView};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::keys::{Keys, SigningError};
use crate::limits::{DOCUMENT_RENEWAL, DOCUMENT_RETRY, NONCES_PER_SECOND};

/// Why the security module gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// It refused, or its answer was none.
    #[error("the security module did not answer")]
    NoAnswer,
    /// It was asked too often in this second.
    #[error("the security module was asked too often; ask again later")]
    TooOften,
}

/// The world as the service sees it.
pub trait Attestor: Send + Sync {
    /// An attestation document over this nonce, or one at hand.
    fn attest(&self, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError>;

    /// Random bytes for a lottery.
    fn random(&self) -> Result<[u8; 16], ModuleError>;

    /// This boot's id.
    fn enclave(&self) -> EnclaveId;

    /// Opens what was sealed to this enclave in this context ([`nitro_elect_protocol::seal::context`]).
    fn open(&self, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError>;

    /// Signs the input, which already carries its domain, with RSASSA-PSS and SHA-256.
    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SigningError>;
}

/// What a document says of the enclave: the same for its whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The signing key: SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// The binding of the HPKE key ([`nitro_elect_protocol::attestation::EnclaveBinding`]).
    pub user_data: Vec<u8>,
}

/// A security module.
pub trait Module: Send {
    /// A COSE_Sign1 attestation document with these claims and this nonce.
    fn attest(&mut self, claims: &Claims, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError>;

    /// Fills `into` with random bytes.
    fn random(&mut self, into: &mut [u8]) -> Result<(), ModuleError>;
}

/// Tells the time since some fixed moment. It decides when to renew a document, nothing else.
pub type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// Keys and a module, with the last document at hand.
pub struct ModuleAttestor<M> {
    keys: Keys,
    claims: Claims,
    clock: Clock,
    module: Mutex<Bounded<M>>,
}

/// A module, its last document and its rate: one lock, so that calls are serialised.
struct Bounded<M> {
    module: M,
    document: Option<Document>,
    second: Duration,
    nonces_this_second: u32,
}

struct Document {
    bytes: Vec<u8>,
    renew_at: Duration,
}

impl<M: Module> ModuleAttestor<M> {
    /// Puts keys behind a module.
    pub fn new(keys: Keys, module: M, clock: Clock) -> Self {
        let claims = keys.claims();
        let bounded = Bounded { module, document: None, second: Duration::ZERO, nonces_this_second: 0 };
        ModuleAttestor { keys, claims, clock, module: Mutex::new(bounded) }
    }

    fn module(&self) -> MutexGuard<'_, Bounded<M>> {
        // A panic between two calls leaves nothing half done: every field is written whole.
        self.module.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Module> Attestor for ModuleAttestor<M> {
    fn attest(&self, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        let mut module = self.module();
        let now = (self.clock)();
        match nonce {
            Some(nonce) => module.over_nonce(&self.claims, nonce, now),
            None => module.at_hand(&self.claims, now),
        }
    }

    fn random(&self) -> Result<[u8; 16], ModuleError> {
        let mut bytes = [0; 16];
        self.module().module.random(&mut bytes)?;
        Ok(bytes)
    }

    fn enclave(&self) -> EnclaveId {
        self.keys.enclave()
    }

    fn open(&self, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError> {
        self.keys.open(context, sealed)
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.keys.sign(input)
    }
}

impl<M: Module> Bounded<M> {
    fn over_nonce(&mut self, claims: &Claims, nonce: &[u8], now: Duration) -> Result<Vec<u8>, ModuleError> {
        if nonce.len() > ATTEST_NONCE_MAX {
            return Err(ModuleError::NoAnswer);
        }
        if now >= self.second + Duration::from_secs(1) {
            (self.second, self.nonces_this_second) = (now, 0);
        }
        if self.nonces_this_second >= NONCES_PER_SECOND {
            return Err(ModuleError::TooOften);
        }
        self.nonces_this_second += 1;
        self.fresh(claims, Some(nonce))
    }

    fn at_hand(&mut self, claims: &Claims, now: Duration) -> Result<Vec<u8>, ModuleError> {
        if let Some(document) = self.document.as_ref().filter(|document| now < document.renew_at) {
            return Ok(document.bytes.clone());
        }
        match (self.fresh(claims, None), self.document.take()) {
            (Ok(bytes), _) => self.keep(bytes, now + DOCUMENT_RENEWAL),
            (Err(_), Some(old)) => self.keep(old.bytes, now + DOCUMENT_RETRY),
            (Err(error), None) => Err(error),
        }
    }

    fn keep(&mut self, bytes: Vec<u8>, renew_at: Duration) -> Result<Vec<u8>, ModuleError> {
        self.document = Some(Document { bytes: bytes.clone(), renew_at });
        Ok(bytes)
    }

    fn fresh(&mut self, claims: &Claims, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        let document = self.module.attest(claims, nonce)?;
        if document.len() > DOCUMENT_MAX { Err(ModuleError::NoAnswer) } else { Ok(document) }
    }
}
