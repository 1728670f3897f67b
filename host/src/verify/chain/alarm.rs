//! What an audit is for: signs that more lie than the cluster tolerates, or that somebody had the log in hand.

use nitro_elect_protocol::ids::{CertificateDigest, Term};
use nitro_elect_protocol::view::Accepted;

use super::Origin;

/// What no log of an honest cluster has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// Two certificates of one term: more voters lie than the cluster tolerates, or an enclave does.
    #[error("FORK: term {term} has two certificates, {} at {first} and {} at {second}", .digests[0], .digests[1])]
    Fork {
        /// The term.
        term: Term,
        /// Their hashes.
        digests: [CertificateDigest; 2],
        /// Where one is.
        first: Origin,
        /// Where the other is.
        second: Origin,
    },
    /// The same, seen from a later one: it names another certificate than the one that is here.
    #[error(
        "FORK: the certificate of term {by} names {} of term {}, and here is {found} of that term",
        .named.certificate, .named.term
    )]
    OtherPrevious {
        /// The later one's term.
        by: Term,
        /// What it names.
        named: Accepted,
        /// What is here.
        found: CertificateDigest,
    },
    /// A certificate that names one of its own or a later term, or another leader for it.
    #[error("term {term} names term {} of {} as the one before it, which cannot be", .named.term, .named.leader)]
    Impossible {
        /// Its term.
        term: Term,
        /// What it names.
        named: Accepted,
    },
    /// Terms that do not rise in the order of a file.
    #[error("{origin}: term {term} stands after term {after}: the file was put together in another order")]
    Disorder {
        /// Where.
        origin: Origin,
        /// Its term.
        term: Term,
        /// The term before it.
        after: Term,
    },
    /// Bytes that cannot be read as a certificate.
    #[error("{origin}: {why}")]
    Unreadable {
        /// Where.
        origin: Origin,
        /// Why.
        why: String,
    },
}
