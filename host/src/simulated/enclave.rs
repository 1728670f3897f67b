//! A whole simulated enclave: the election service as it runs on Nitro, with a simulated module behind it.

use nitro_elect_enclave::attestor::{Claims, Module, ModuleAttestor, ModuleError};
use nitro_elect_enclave::keys::{KeyError, Keys, RsaSize};
use nitro_elect_enclave::server::{Accept, serve};
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::crypto::Ring;
use nitro_elect_protocol::ids::EnclaveId;
use nitro_elect_protocol::limits::AGE_DEFAULT;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::Trust;
use ring::rand::{SecureRandom, SystemRandom};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::nsm::measurements;
use super::{SimulatedNsm, SimulatedPki};
use crate::transport::listen::Listener;
use crate::transport::stream::Stream;

/// Tells the wall clock's time, which documents are dated with.
pub type WallClock = fn() -> Wall;

/// An election service with keys of its own, made when it started.
#[derive(Clone)]
pub struct SimulatedEnclave {
    service: Arc<Service<ModuleAttestor<SimulatedModule>>>,
    id: EnclaveId,
    trust: Trust,
}

impl SimulatedEnclave {
    /// Makes fresh keys, as a booting enclave does: some tenths of a second, at times more.
    pub fn boot(pki: SimulatedPki, clock: WallClock) -> Result<Self, KeyError> {
        let keys = Keys::generate(RsaSize::Bits2048)?;
        let (id, trust) = (keys.enclave(), Trust::new(pki.root(), vec![measurements()], false, AGE_DEFAULT));
        let module = SimulatedModule { nsm: SimulatedNsm::new(pki, measurements()), clock };
        let start = Instant::now();
        let attestor = ModuleAttestor::new(keys, module, Box::new(move || start.elapsed()));
        Ok(SimulatedEnclave { service: Arc::new(Service::new(attestor, Arc::new(Ring))), id, trust })
    }

    /// This boot's id.
    pub fn id(&self) -> EnclaveId {
        self.id
    }

    /// The trust section that accepts it, and every other with the same root.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Serves a listener until dropped.
    pub async fn serve(&self, listener: Listener) -> Infallible {
        serve(Plain(listener), Arc::clone(&self.service)).await
    }
}

/// The simulated module as the service sees the real one.
struct SimulatedModule {
    nsm: SimulatedNsm,
    clock: WallClock,
}

impl Module for SimulatedModule {
    fn attest(&mut self, claims: &Claims, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        let Claims { public_key, user_data } = claims;
        self.nsm.attest((self.clock)(), public_key, user_data, nonce).map_err(|_| ModuleError::NoAnswer)
    }

    fn random(&mut self, into: &mut [u8]) -> Result<(), ModuleError> {
        SystemRandom::new().fill(into).map_err(|_| ModuleError::NoAnswer)
    }
}

/// A listener whose streams carry plain frames.
struct Plain(Listener);

impl Accept for Plain {
    type Stream = Stream;

    async fn accept(&self) -> io::Result<Stream> {
        self.0.accept().await.map(|(stream, _)| stream)
    }
}
