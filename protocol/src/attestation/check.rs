//! The checklist: every check by its number, the same here, in the errors, in the tests and in
//! `docs/ATTESTATION.md`.

use std::fmt;

/// One check, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Check {
    /// 1: a `COSE_Sign1` of bounded size with its payload inside.
    Envelope = 1,
    /// 2: ES384 in the protected header, nothing in the other.
    Algorithm,
    /// 3: the specified fields, once each, of their types and lengths.
    Fields,
    /// 4: SHA-384 registers with indexes 0 to 31, PCR0 to PCR2 among them.
    Registers,
    /// 5: the bundle begins with the pinned root.
    Root,
    /// 6: every certificate is X.509 with a key on P-384.
    Certificates,
    /// 7: each certificate names the one before it as its issuer.
    Order,
    /// 8: constraints and key usage.
    Constraints,
    /// 9: the whole bundle is a valid path.
    Path,
    /// 10: every certificate is valid at the time.
    Dates,
    /// 11: the leaf signed the document.
    Signature,
    /// 12: not in debug mode.
    DebugMode,
    /// 13: the expected measurements.
    Measurements,
    /// 14: the timestamp does not lie in the future.
    Future,
    /// 15: the document is not too old.
    Age,
    /// 16: the nonce is the one that was sent.
    Nonce,
    /// 17: the public key is a signing key.
    SigningKey,
    /// 18: the user data binds the other key.
    Binding,
    /// 19: both keys hash to the claimed enclave id.
    EnclaveId,
}

impl Check {
    /// Every check, in order: 1 to 16 of any document, 17 to 19 of an election service's.
    pub const ALL: [Check; 19] = [
        Check::Envelope,
        Check::Algorithm,
        Check::Fields,
        Check::Registers,
        Check::Root,
        Check::Certificates,
        Check::Order,
        Check::Constraints,
        Check::Path,
        Check::Dates,
        Check::Signature,
        Check::DebugMode,
        Check::Measurements,
        Check::Future,
        Check::Age,
        Check::Nonce,
        Check::SigningKey,
        Check::Binding,
        Check::EnclaveId,
    ];

    /// Its number, 1 to 19.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What it establishes, in a line.
    pub fn title(self) -> &'static str {
        match self {
            Check::Envelope => "the document is one COSE_Sign1 with its payload inside",
            Check::Algorithm => "its protected header says ES384, its unprotected header nothing",
            Check::Fields => "its fields are the specified ones, once each, of their types and lengths",
            Check::Registers => "its registers are SHA-384, with indexes 0 to 31, and PCR0 to PCR2 are there",
            Check::Root => "its bundle begins with the pinned root",
            Check::Certificates => "every certificate is X.509, with a key on P-384",
            Check::Order => "each certificate is issued by the one before it, the leaf by the last",
            Check::Constraints => "each certificate may be used as it is: authority, path length, key usage",
            Check::Path => "its bundle, whole, is a valid path to the leaf, signed with ECDSA and SHA-384",
            Check::Dates => "every certificate is valid at the time of checking",
            Check::Signature => "the leaf signed the document",
            Check::DebugMode => "the enclave is not in debug mode",
            Check::Measurements => "its measurements are among the accepted sets",
            Check::Future => "its timestamp does not lie in the future",
            Check::Age => "it is not older than max_age",
            Check::Nonce => "its nonce is the one that was sent",
            Check::SigningKey => "its public key is an RSA signing key",
            Check::Binding => "its user data binds the sealing key and the signature algorithm",
            Check::EnclaveId => "both keys hash to the claimed enclave id",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}. {}", self.number(), self.title())
    }
}

/// What became of a check of a document that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made and passed.
    Passed,
    /// Not made: the document is verified later, and something else must vouch for its dates.
    Later,
    /// Not made: no nonce was sent, no limit of age given, or no enclave id claimed.
    NotAsked,
    /// It failed, and the trust section lets enclaves in debug mode pass as such.
    DebugAllowed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Outcome::Passed => "passed",
            Outcome::Later => "not checked: verified later",
            Outcome::NotAsked => "not checked: not asked for",
            Outcome::DebugAllowed => "failed: debug mode, which the caller allowed",
        })
    }
}

/// A check of an accepted document, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The check.
    pub check: Check,
    /// What became of it.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_are_numbered_in_their_order() {
        let numbers: Vec<u8> = Check::ALL.iter().map(|check| check.number()).collect();
        assert_eq!(numbers, (1..=19).collect::<Vec<u8>>());
    }

    #[test]
    fn the_document_lists_the_same_checks() {
        let page = include_str!("../../../docs/ATTESTATION.md");
        for check in Check::ALL {
            let row = format!("| {} | {} |", check.number(), check.title());
            assert!(page.contains(&row), "docs/ATTESTATION.md lacks the row {row}");
        }
    }
}
