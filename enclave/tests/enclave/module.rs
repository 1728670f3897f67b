//! A security module that a test can watch and break, and keys that need not be generated.

use nitro_elect_enclave::attestor::{Attestor, Claims, Module, ModuleAttestor, ModuleError};
use nitro_elect_enclave::keys::{Keys, SigningError};
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::crypto::Ring;
use nitro_elect_protocol::ids::EnclaveId;
use nitro_elect_protocol::seal::{OpenError, SealedView};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KEYS: [&[u8]; 2] =
    [include_bytes!("../keys/rsa-2048-1.pkcs8.der"), include_bytes!("../keys/rsa-2048-2.pkcs8.der")];

/// One of two sets of keys.
pub fn keys(which: usize) -> Keys {
    Keys::from_pkcs8(KEYS[which], &[which as u8; 32]).unwrap()
}

/// What a test sees of a module, and does to it.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<Watched>>);

#[derive(Default)]
struct Watched {
    calls: u32,
    is_broken: bool,
    document: Vec<u8>,
}

impl Watch {
    /// How often it was called.
    pub fn calls(&self) -> u32 {
        self.0.lock().unwrap().calls
    }

    /// Whether it answers from now on.
    pub fn set_broken(&self, is_broken: bool) {
        self.0.lock().unwrap().is_broken = is_broken;
    }

    /// What its documents begin with from now on.
    pub fn set_document(&self, document: Vec<u8>) {
        self.0.lock().unwrap().document = document;
    }
}

/// A module whose documents are their contents, one field after the other.
pub struct TestModule(Watch);

impl TestModule {
    fn called(&self) -> Result<(Vec<u8>, u32), ModuleError> {
        let mut watched = self.0.0.lock().unwrap();
        watched.calls += 1;
        if watched.is_broken {
            return Err(ModuleError::NoAnswer);
        }
        Ok((watched.document.clone(), watched.calls))
    }
}

impl Module for TestModule {
    fn attest(&mut self, claims: &Claims, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        let (document, call) = self.called()?;
        let call = call.to_be_bytes();
        Ok([&document, &call[..], &claims.public_key, &claims.user_data, nonce.unwrap_or_default()].concat())
    }

    fn random(&mut self, into: &mut [u8]) -> Result<(), ModuleError> {
        self.called()?;
        into.fill(1);
        Ok(())
    }
}

/// A clock that a test sets, in milliseconds.
#[derive(Clone, Default)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_millis()).unwrap(), SeqCst);
    }
}

/// The attestor of products behind a module of tests.
pub fn attestor(watch: &Watch, clock: &TestClock) -> ModuleAttestor<TestModule> {
    let clock = clock.clone();
    let now = move || Duration::from_millis(clock.0.load(SeqCst));
    ModuleAttestor::new(keys(0), TestModule(watch.clone()), Box::new(now))
}

/// A service like an enclave's.
pub fn service() -> Service<ModuleAttestor<TestModule>> {
    Service::new(attestor(&Watch::default(), &TestClock::default()), Arc::new(Ring))
}

/// An attestor whose signing key fails.
pub struct Unsigning(pub ModuleAttestor<TestModule>);

impl Attestor for Unsigning {
    fn attest(&self, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        self.0.attest(nonce)
    }

    fn random(&self) -> Result<[u8; 16], ModuleError> {
        self.0.random()
    }

    fn enclave(&self) -> EnclaveId {
        self.0.enclave()
    }

    fn open(&self, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError> {
        self.0.open(context, sealed)
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Err(SigningError)
    }
}
