//! The newest certificates that a node has adopted, each with the electorate that it was made over, to look at again.
//!
//! The log on the disk has all of them; this is what is shown without reading it. Nothing here is believed by the node:
//! whoever shows one verifies it anew.

use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::proof::Bundle;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::limits::RECENT_CERTIFICATES;

/// A certificate that was adopted.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// Its term.
    pub term: Term,
    /// It, with what proves it.
    pub bundle: Bundle,
    /// What it was made over.
    pub electorate: Electorate,
}

/// The newest of them, in the order in which they were adopted.
#[derive(Debug, Default)]
pub struct Recent {
    kept: Mutex<VecDeque<Adopted>>,
}

impl Recent {
    /// Keeps a certificate, in place of the same one with fewer promises, if it was made over this electorate.
    pub fn keep(&self, bundle: &Bundle, electorate: &Electorate) {
        let Ok(certificate) = bundle.certificate.peek() else { return };
        if certificate.electorate != electorate.digest() {
            return;
        }
        let adopted =
            Adopted { term: certificate.term, bundle: bundle.clone(), electorate: electorate.clone() };
        let mut kept = self.kept();
        kept.retain(|other| other.term != adopted.term);
        if kept.len() == RECENT_CERTIFICATES {
            kept.pop_front();
        }
        kept.push_back(adopted);
    }

    /// The one of a term, or the newest.
    pub fn of(&self, term: Option<Term>) -> Option<Adopted> {
        let kept = self.kept();
        kept.iter().rev().find(|adopted| term.is_none_or(|term| adopted.term == term)).cloned()
    }

    /// The terms of those that are kept.
    pub fn terms(&self) -> Vec<Term> {
        self.kept().iter().map(|adopted| adopted.term).collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Adopted>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
