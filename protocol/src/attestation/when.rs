//! When a document is checked, and whether a nonce was sent.

use crate::time::Wall;

/// The time that dates are checked at.
///
/// It is never the document's own: the holder of an expired leaf's key could date a document back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now: every check. What an election and a new enclave id need.
    Live {
        /// The present time.
        now: Wall,
    },
    /// Long after: every check but the dates (10), the future (14) and the age (15). Something else must
    /// vouch for the document having been checked live, such as f + 1 promises.
    Later,
    /// At a time that the caller states: every check, and only as good as the statement.
    At {
        /// The stated time.
        time: Wall,
    },
}

impl When {
    /// How dates are checked, without the time.
    pub fn freshness(self) -> Freshness {
        match self {
            When::Live { .. } => Freshness::Live,
            When::At { .. } => Freshness::At,
            When::Later => Freshness::Later,
        }
    }

    /// The time to check dates at, if they are checked.
    pub fn instant(self) -> Option<Wall> {
        match self {
            When::Live { now } => Some(now),
            When::At { time } => Some(time),
            When::Later => None,
        }
    }
}

/// How the dates of a verified document were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// At the present time.
    Live,
    /// At a time that the caller stated.
    At,
    /// Not at all: something else must vouch for it.
    Later,
}

/// Whether the document answers a question of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceCheck<'a> {
    /// We asked with this nonce, and the document must carry it.
    Sent(&'a [u8]),
    /// We did not ask; the document may carry anybody's nonce, which proves nothing.
    NotAsked,
}
