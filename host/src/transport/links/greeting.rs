//! The first frame of a link, from the side that accepted it: whether the other is let in.
//!
//! In TLS 1.3 a client finishes its handshake before the server has judged its key, so a dialled link counts only
//! once its greeting has come; and a node that is turned away learns why.

use super::admission::Unwelcome;
use nitro_elect_protocol::peer::{EnvelopeError, open_envelope, seal_envelope};
use serde::{Deserialize, Serialize};

/// Largest greeting, in bytes.
pub const GREETING_MAX: usize = 256;

/// What the accepting side says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    /// The link is open.
    Welcome,
    /// It is not, and closes now.
    Unwelcome(Unwelcome),
}

impl Greeting {
    /// The frame.
    pub fn encode(&self) -> Vec<u8> {
        seal_envelope(self)
    }

    /// Reads a frame.
    pub fn decode(frame: &[u8]) -> Result<Self, EnvelopeError> {
        open_envelope(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_each_greeting_are_fixed() {
        let greetings = [
            (Greeting::Welcome, &b"\xa2\x61v\x01\x64body\x48\x67Welcome"[..]),
            (
                Greeting::Unwelcome(Unwelcome::NotAdmitted),
                b"\xa2\x61v\x01\x64body\x57\xa1\x69Unwelcome\x6bNotAdmitted",
            ),
            (
                Greeting::Unwelcome(Unwelcome::SameKey),
                b"\xa2\x61v\x01\x64body\x53\xa1\x69Unwelcome\x67SameKey",
            ),
            (Greeting::Unwelcome(Unwelcome::Full), b"\xa2\x61v\x01\x64body\x50\xa1\x69Unwelcome\x64Full"),
        ];
        for (greeting, bytes) in greetings {
            assert_eq!(greeting.encode(), bytes, "{greeting:?}");
            assert_eq!(Greeting::decode(bytes), Ok(greeting));
            assert!(bytes.len() <= GREETING_MAX);
        }
    }
}
