//! One block of PEM text (RFC 7468), of the label that it should have.
//!
//! The usual mistake is the wrong file, so the label that was found instead is named.

use pem::{EncodeConfig, LineEnding, Pem};

/// Why a text is not the PEM block it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemBlockError {
    /// No block begins anywhere.
    #[error("no PEM block")]
    NoBlock,
    /// A block that is cut, or not base64 inside.
    #[error("a damaged PEM block, cut short or not base64 inside")]
    Damaged,
    /// A block of another kind.
    #[error("a PEM block {found:?}, not {expected:?}")]
    OtherLabel {
        /// The label that was found, cut to 40 characters.
        found: String,
        /// The label that was expected.
        expected: &'static str,
    },
    /// More than one block.
    #[error("{0} PEM blocks, not one")]
    Several(usize),
}

/// Writes one block.
pub fn encode(label: &str, bytes: &[u8]) -> String {
    pem::encode_config(&Pem::new(label, bytes), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// Reads the one block of a text; other lines around it are ignored (RFC 7468 §2 allows explanations there).
pub fn decode(label: &'static str, text: &str) -> Result<Vec<u8>, PemBlockError> {
    let blocks = pem::parse_many(text).map_err(|_| PemBlockError::Damaged)?;
    match blocks.as_slice() {
        [] if text.contains("-----BEGIN") => Err(PemBlockError::Damaged),
        [] => Err(PemBlockError::NoBlock),
        [block] if block.tag() == label => Ok(block.contents().to_vec()),
        [block] => {
            let found = block.tag().chars().take(40).collect();
            Err(PemBlockError::OtherLabel { found, expected: label })
        }
        several => Err(PemBlockError::Several(several.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_round_trips_whatever_its_length() {
        for length in [0, 1, 47, 48, 49, 96, 500] {
            let bytes = vec![7; length];
            assert_eq!(decode("THING", &encode("THING", &bytes)), Ok(bytes));
        }
    }

    #[test]
    fn a_second_block_is_refused_and_text_around_the_one_ignored() {
        let text = encode("THING", b"thing");
        assert_eq!(decode("THING", &format!("Subject: me\n{text}\n\n")), Ok(b"thing".to_vec()));
        assert_eq!(decode("THING", &format!("{text}{text}")), Err(PemBlockError::Several(2)));
    }

    #[test]
    fn another_kind_of_block_is_named() {
        let other = PemBlockError::OtherLabel { found: "RSA KEY".into(), expected: "THING" };
        assert_eq!(decode("THING", &encode("RSA KEY", b"x")), Err(other));
        assert_eq!(decode("THING", "thing"), Err(PemBlockError::NoBlock));
    }

    #[test]
    fn a_block_that_is_cut_or_not_base64_is_refused() {
        for text in [
            "-----BEGIN THING-----\neA==",
            "-----BEGIN THING-----\n!!\n-----END THING-----",
            "-----BEGIN THING-----\neA==\n-----END OTHER-----",
        ] {
            assert_eq!(decode("THING", text), Err(PemBlockError::Damaged), "{text}");
        }
    }
}
