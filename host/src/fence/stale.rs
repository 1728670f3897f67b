//! Why a proof admits nobody.

use std::io;
use std::time::Duration;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::ids::{NodeId, Term};

use crate::help::Help;
use crate::verify::Step;

/// Why a presenter is not admitted. Nothing changed, unless that is said.
#[derive(Debug, thiserror::Error)]
pub enum Stale {
    /// A check of the proof failed: forged, damaged, or of another cluster.
    #[error("check {step} of the proof failed: {why}")]
    Proof {
        /// The check, by its number in docs/ATTESTATION.md.
        step: Step,
        /// What was found.
        why: String,
    },
    /// It is worth less than was asked for.
    #[error("the proof is worth {found}, and only an attested one is accepted here")]
    Assurance {
        /// What it is worth.
        found: Assurance,
    },
    /// It says who was elected, not who leads.
    #[error("the proof has no lease: it says who was elected, not who leads")]
    NoLease,
    /// Nobody knows how old it is: a replay, or an answer to somebody else.
    #[error("the proof answers none of the nonces drawn here: it may be of any age")]
    NotMyNonce,
    /// Its time is over.
    #[error("the proof's lease was over {} ms ago, counted from when its nonce was drawn", over.as_millis())]
    TooOld {
        /// For how long.
        over: Duration,
    },
    /// The leader is somebody else.
    #[error("the proof says that {} leads, and {} presents it", leader.short(), presenter.short())]
    OtherPresenter {
        /// Who leads.
        leader: NodeId,
        /// Whose key the presenter holds.
        presenter: NodeId,
    },
    /// Somebody was admitted in a higher term since.
    #[error("term {term} is over: term {highest} was admitted")]
    LowerTerm {
        /// The term of the proof.
        term: Term,
        /// The highest that was admitted.
        highest: Term,
    },
    /// The term was admitted for somebody else, as only partitions of an open cluster can have it.
    #[error("term {term} was admitted for another leader")]
    OtherLeader {
        /// The term.
        term: Term,
    },
    /// The new term could not be written down. Either it or the one before is on the disk.
    #[error("the new term could not be made durable: {0}")]
    NotDurable(io::Error),
}

impl Help for Stale {
    fn help(&self) -> String {
        match self {
            Stale::Proof { .. } => {
                "see what `nitro-elect verify` says of it; name the manifest of its cluster".into()
            }
            Stale::Assurance { found } => format!("to accept that, say --allow-{found}"),
            Stale::NoLease => "ask a node for /v1/proof?nonce=, not for /v1/certificate".into(),
            Stale::NotMyNonce | Stale::TooOld { .. } => {
                "draw a nonce and present the proof that answers it".into()
            }
            Stale::OtherPresenter { .. } | Stale::OtherLeader { .. } | Stale::LowerTerm { .. } => {
                "wait until this node is elected: `nitro-elect status` says who leads".into()
            }
            Stale::NotDurable(_) => "check the disk: a fence that cannot write admits nobody new".into(),
        }
    }
}
