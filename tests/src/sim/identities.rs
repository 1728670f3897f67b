//! Enclave identities with real attestation documents, made once a process and lent to every simulated boot.
//!
//! The witness of a verified enclave cannot be faked, so each boot needs a document that passes every check. Making
//! and checking one costs milliseconds, a simulated election microseconds; hence the pool, and one memory of
//! verified documents for all simulated nodes. A world never uses one identity for two boots.

use nitro_elect::core::attested::Attested;
use nitro_elect::simulated::nsm::measurements;
use nitro_elect::simulated::{SimulatedNsm, SimulatedPki};
use nitro_elect_enclave::attestor::{Attestor, ModuleError};
use nitro_elect_enclave::keys::{Keys, SigningError};
use nitro_elect_protocol::crypto::{Crypto, Ring};
use nitro_elect_protocol::ids::{EnclaveId, Pcr};
use nitro_elect_protocol::limits::AGE_MAX;
use nitro_elect_protocol::seal::{OpenError, SealedView};
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::{PcrSet, Trust};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::clock::{At, EPOCH};
use super::dice::Dice;
use super::recorder::Recorder;
use super::standin::{self, StandIn};

/// Boots that one world can have.
pub const BOOTS_MAX: usize = 30;
/// Documents remembered as verified: of every boot some, live and later, under trust sections that differ.
const DOCUMENTS_MAX: usize = 4096;

const KEYS: [&[u8]; 2] = [
    include_bytes!("../../../enclave/tests/keys/rsa-2048-1.pkcs8.der"),
    include_bytes!("../../../enclave/tests/keys/rsa-2048-2.pkcs8.der"),
];

/// Which primitives a world runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitives {
    /// [`super::standin`].
    StandIn,
    /// Ed25519, RSA-PSS and HPKE as the product uses them.
    Real,
}

/// What one boot of an enclave is known by.
pub struct Identity {
    /// Its keys.
    pub keys: Keys,
    /// Its attestation document, dated [`EPOCH`].
    pub document: Vec<u8>,
    /// Those of later dates, made when they are first asked for.
    later: Mutex<BTreeMap<Wall, Vec<u8>>>,
    spki: Vec<u8>,
    user_data: Vec<u8>,
}

impl Identity {
    /// The document that the enclave shows at this time, if it renews it every `interval`.
    pub fn document_at(&self, at: At, interval: Duration) -> Vec<u8> {
        let intervals = at.since(At(0)).as_nanos() / interval.as_nanos().max(1);
        if intervals == 0 {
            return self.document.clone();
        }
        let date = EPOCH + interval * u32::try_from(intervals).unwrap_or(u32::MAX);
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        let made = later.entry(date).or_insert_with(|| {
            let document = Shared::get().nsm.attest(date, &self.spki, &self.user_data, None);
            document.expect("the claims are within the NSM's bounds")
        });
        made.clone()
    }

    /// Signs as this enclave does.
    pub fn sign(&self, primitives: Primitives, input: &[u8]) -> Result<Vec<u8>, SigningError> {
        match primitives {
            Primitives::StandIn => Ok(standin::enclave_signature(&self.spki, input)),
            Primitives::Real => self.keys.sign(input),
        }
    }
}

/// All that is shared by the worlds of a process.
pub struct Shared {
    nsm: SimulatedNsm,
    /// Under the same root, with an image that nobody accepts.
    unmeasured: SimulatedNsm,
    counterfeit: OnceLock<Arc<Identity>>,
    made: Mutex<Vec<Arc<Identity>>>,
    standin: Arc<Attested>,
    real: Arc<Attested>,
}

impl Shared {
    /// The process's own.
    pub fn get() -> &'static Shared {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        SHARED.get_or_init(|| {
            let pki = SimulatedPki::generate().expect("rcgen makes a P-384 root");
            let same = SimulatedPki::from_pem(&pki.to_pem()).expect("what it wrote it reads");
            let pcrs = PcrSet { pcr0: Pcr([0xfa; 48]), ..measurements() };
            Shared {
                unmeasured: SimulatedNsm::new(same, pcrs),
                counterfeit: OnceLock::new(),
                nsm: SimulatedNsm::new(pki, measurements()),
                made: Mutex::default(),
                standin: Arc::new(Attested::remembering(Arc::new(StandIn), DOCUMENTS_MAX)),
                real: Arc::new(Attested::remembering(Arc::new(Ring), DOCUMENTS_MAX)),
            }
        })
    }

    /// The trust section that accepts the pool's identities.
    pub fn trust(&self) -> Trust {
        self.trust_up_to(AGE_MAX)
    }

    /// The same, of documents that grow no older than this.
    pub fn trust_up_to(&self, max_age: Duration) -> Trust {
        Trust::new(self.nsm.pki().root(), vec![self.nsm.pcrs().clone()], false, max_age)
    }

    /// The primitives, with the memory of verified documents.
    pub fn crypto(&self, primitives: Primitives) -> Arc<dyn Crypto> {
        match primitives {
            Primitives::StandIn => self.standin.clone(),
            Primitives::Real => self.real.clone(),
        }
    }

    /// The identity of a world's `boot`-th boot of any enclave.
    pub fn identity(&self, boot: usize) -> Arc<Identity> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        while made.len() <= boot {
            let identity = make(&self.nsm, made.len());
            made.push(Arc::new(identity));
        }
        made[boot].clone()
    }

    /// An enclave of an image that nobody accepts, otherwise in order.
    pub fn counterfeit(&self) -> Arc<Identity> {
        self.counterfeit.get_or_init(|| Arc::new(make(&self.unmeasured, BOOTS_MAX))).clone()
    }
}

/// An identity under the keys of this number, whose document this module signs.
fn make(nsm: &SimulatedNsm, number: usize) -> Identity {
    let secret = Dice::new(number as u64).bytes32();
    let keys =
        Keys::from_pkcs8(KEYS[number % KEYS.len()], &secret).expect("the keys of the tree are RSA keys");
    let claims = keys.claims();
    let document = nsm.attest(EPOCH, &claims.public_key, &claims.user_data, None);
    let document = document.expect("the claims are within the NSM's bounds");
    let (spki, user_data) = (claims.public_key, claims.user_data);
    Identity { keys, document, later: Mutex::default(), spki, user_data }
}

/// A boot's way to the world, for the real service.
pub struct SimulatedAttestor {
    identity: Arc<Identity>,
    primitives: Primitives,
    dice: Mutex<Dice>,
    renewal: Option<(Duration, Arc<Recorder>)>,
}

impl SimulatedAttestor {
    /// The attestor of one boot; `dice` serve its lotteries.
    pub fn new(identity: Arc<Identity>, primitives: Primitives, dice: Dice) -> Self {
        SimulatedAttestor { identity, primitives, dice: Mutex::new(dice), renewal: None }
    }

    /// Renews its document every `interval` of the true time that `clock` tells.
    pub fn renewing(self, interval: Duration, clock: Arc<Recorder>) -> Self {
        SimulatedAttestor { renewal: Some((interval, clock)), ..self }
    }
}

impl Attestor for SimulatedAttestor {
    fn attest(&self, _nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        Ok(match &self.renewal {
            Some((interval, clock)) => self.identity.document_at(clock.now(), *interval),
            None => self.identity.document.clone(),
        })
    }

    fn random(&self) -> Result<[u8; 16], ModuleError> {
        let bytes = self.dice.lock().unwrap_or_else(PoisonError::into_inner).bytes32();
        Ok(std::array::from_fn(|index| bytes[index]))
    }

    fn enclave(&self) -> EnclaveId {
        self.identity.keys.enclave()
    }

    fn open(&self, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError> {
        match self.primitives {
            Primitives::StandIn => standin::open(&self.identity.keys.hpke_key(), context, sealed),
            Primitives::Real => self.identity.keys.open(context, sealed),
        }
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.identity.sign(self.primitives, input)
    }
}
