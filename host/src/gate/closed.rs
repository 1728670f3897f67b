//! Why a gate lets nothing through, in words for whoever is turned away, the log, and `/readyz`.

use std::io;
use std::time::Duration;

use nitro_elect_protocol::ids::Term;

use crate::fence::Stale;

/// The short name of [`Closed::NoProof`].
pub const NO_PROOF: &str = "no_proof";
/// The short name of [`Closed::NotDurable`].
pub const NOT_DURABLE: &str = "not_durable";

/// Why nothing passes.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// Nobody has shown a proof that still holds.
    #[error("{}", no_proof(*term, *over))]
    NoProof {
        /// The highest term that was admitted.
        term: Term,
        /// For how long its last proof has been over, if it had one in this life.
        over: Option<Duration>,
    },
    /// The proof shown does not hold.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// What was shown is no proof.
    #[error("what was shown is no proof: {0}")]
    Unreadable(String),
    /// Nothing was shown.
    #[error("no proof was shown: this node does not lead, or its node does not answer")]
    NotShown,
    /// A higher term was admitted or waits.
    #[error("term {term} is over: term {highest} leads")]
    LowerTerm {
        /// The term shown.
        term: Term,
        /// The highest.
        highest: Term,
    },
    /// A leader was admitted in this term, and it is another one.
    #[error("term {term} was admitted for another leader")]
    OtherLeader {
        /// The term.
        term: Term,
    },
    /// The door is open for somebody else.
    #[error("another node leads in term {term}")]
    NotTheLeader {
        /// The term.
        term: Term,
    },
    /// Connections of the term before have not ended.
    #[error("waiting for the resource to end {connections} connections of term {term}")]
    Draining {
        /// The term that is over.
        term: Term,
        /// How many.
        connections: usize,
    },
    /// They have not ended in time.
    #[error("{connections} connections of term {term} have not ended in time: {}", cure(*term, *has_command))]
    Overdue {
        /// The term that is over.
        term: Term,
        /// How many.
        connections: usize,
        /// Whether there is a fence command to end them.
        has_command: bool,
    },
    /// The fence command runs.
    #[error("the fence command for term {term} is running")]
    Fencing {
        /// The term that is over.
        term: Term,
    },
    /// The fence command failed and is tried again.
    #[error("the fence command for term {term} failed: it is tried again; see the gate's log")]
    FenceFailed {
        /// The term that is over.
        term: Term,
    },
    /// Nobody saw the end of some of the term's connections.
    #[error("{}", in_doubt(*term, *at_start, *has_command))]
    InDoubt {
        /// The term.
        term: Term,
        /// Whether a gate was ended with them open; else they broke.
        at_start: bool,
        /// Whether there is a fence command to end them.
        has_command: bool,
    },
    /// The disk refuses.
    #[error("the gate's record could not be written: {0}")]
    NotDurable(#[source] io::Error),
    /// Too much at once.
    #[error("this key has {most} connections open already")]
    TooMany {
        /// How many it may have.
        most: usize,
    },
    /// The gate ends.
    #[error("the gate is stopping")]
    Stopping,
}

fn no_proof(term: Term, over: Option<Duration>) -> String {
    match over {
        Some(over) => {
            format!("the proof of term {term} ended {} ms ago, and no newer one came", over.as_millis())
        }
        None if term == Term(0) => "no leader has shown a proof yet".into(),
        None => format!("no leader has shown a proof since the gate closed for term {term}"),
    }
}

fn in_doubt(term: Term, at_start: bool, has_command: bool) -> String {
    let cause = match at_start {
        true => format!("the gate was ended with connections of term {term} open"),
        false => format!("connections of term {term} broke before the resource ended them"),
    };
    format!("{cause}: {}", cure(term, has_command))
}

fn cure(term: Term, has_command: bool) -> String {
    match has_command {
        true => "the fence command is about to run".into(),
        false => format!(
            "make sure that the resource works on nothing of it any more, then run `nitro-elect gate --drained {term} \
             --state DIR`"
        ),
    }
}

impl Closed {
    /// A short name, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Closed::NoProof { .. } => NO_PROOF,
            Closed::Stale(_) | Closed::Unreadable(_) | Closed::NotShown => "stale_proof",
            Closed::LowerTerm { .. } | Closed::OtherLeader { .. } | Closed::NotTheLeader { .. } => {
                "not_leading"
            }
            Closed::Draining { .. } | Closed::Overdue { .. } => "draining",
            Closed::Fencing { .. } | Closed::FenceFailed { .. } => "fencing",
            Closed::InDoubt { .. } => "in_doubt",
            Closed::NotDurable(_) => NOT_DURABLE,
            Closed::TooMany { .. } => "too_many",
            Closed::Stopping => "stopping",
        }
    }
}
