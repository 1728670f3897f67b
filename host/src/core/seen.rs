//! A bounded memory of attestation documents that were checked: they cost a peer no further budget.

use nitro_elect_protocol::hash;
use std::collections::{BTreeSet, VecDeque};

/// Documents remembered.
const KEPT: usize = 64;

/// Digests of documents, the oldest forgotten first.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    known: BTreeSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Seen {
    /// Whether a document was seen lately.
    pub fn contains(&self, document: &[u8]) -> bool {
        self.known.contains(&hash::sha256(document))
    }

    /// Remembers a document.
    pub fn insert(&mut self, document: &[u8]) {
        let digest = hash::sha256(document);
        if self.known.insert(digest) {
            self.order.push_back(digest);
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}
