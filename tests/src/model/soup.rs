//! What was sent. The network is whoever delivers: late, never, or as often as it likes.

use nitro_elect::core::event::RequestId;
use nitro_elect_protocol::certificate::{Certificate, SignedCertificate};
use nitro_elect_protocol::enclave_api::Elect;
use nitro_elect_protocol::ids::{Generation, Term};
use nitro_elect_protocol::seal::SealedView;
use std::collections::HashMap;
use std::sync::Arc;

use super::fold::{ByPrint, Print};
use super::local::Mail;

/// Something that was sent.
pub enum Item {
    /// A call, to all voters.
    Call { from: usize, term: Term, mail: Arc<Mail> },
    /// A renewal, to all voters.
    Renew { from: usize, term: Term, mail: Arc<Mail> },
    /// A resignation, to all.
    Resign { of: usize, up_to: Term, mail: Arc<Mail> },
    /// An election, to an enclave.
    Elect { node: usize, generation: Generation, request: RequestId, enclave: usize, elect: Box<Elect> },
    /// An honest voter's view for a call of a Byzantine one.
    View { of: usize, to: usize, term: Term, enclave: usize, sealed: SealedView },
}

/// A certificate that an enclave has signed.
pub struct Issued {
    /// Which enclave.
    pub enclave: usize,
    /// For which request.
    pub elect: Elect,
    /// What it says.
    pub certificate: Certificate,
    /// As it was signed.
    pub signed: SignedCertificate,
    /// As it is passed on.
    pub mail: Arc<Mail>,
}

/// Things by number, each once.
pub struct Table<T> {
    things: Vec<Arc<T>>,
    numbers: HashMap<Print, u32, ByPrint>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { things: Vec::new(), numbers: HashMap::default() }
    }
}

impl<T> Table<T> {
    /// The number of the thing with this fingerprint.
    pub fn number(&mut self, print: Print, make: impl FnOnce() -> T) -> u32 {
        let things = &mut self.things;
        *self.numbers.entry(print).or_insert_with(|| {
            things.push(Arc::new(make()));
            (things.len() - 1) as u32
        })
    }

    /// The thing of this number.
    pub fn get(&self, number: u32) -> Arc<T> {
        self.things[number as usize].clone()
    }
}
