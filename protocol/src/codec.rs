//! The one encoding on the wire, under signatures and in digests: canonical CBOR (RFC 8949).
//!
//! Canonical here means: exactly the bytes that [`encode`] produces. [`decode`] reads, encodes again and
//! compares, so that no two readers can understand the same bytes differently: non-minimal integers,
//! indefinite lengths, reordered, doubled and unknown fields are all refused.
//!
//! Callers cap the input first; nesting is bounded by the reader, allocation by the input's length.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not CBOR of the expected shape.
    #[error("not a message of the expected shape (at byte {offset})")]
    Shape {
        /// Where reading stopped.
        offset: u64,
    },
    /// The bytes could be read, but our encoder writes the same message differently.
    #[error("not canonically encoded")]
    NotCanonical,
    /// A part of the message exceeds its bound.
    #[error("{field}: {found} exceeds the bound of {max}")]
    Bound {
        /// The part.
        field: &'static str,
        /// Its size or value.
        found: u64,
        /// The bound.
        max: u64,
    },
    /// A text for people would steer a terminal or begin a line of its own in a log.
    #[error("{field} has control characters in it")]
    Control {
        /// The part.
        field: &'static str,
    },
}

/// The canonical encoding.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_cbor::to_vec(value).expect("our types have string or struct keys and write to memory")
}

/// Reads one value from all of `bytes`; refuses what [`encode`] would not have written.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let value: T =
        serde_cbor::from_slice(bytes).map_err(|error| DecodeError::Shape { offset: error.offset() })?;
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Checks a count or size after decoding.
pub fn bound(field: &'static str, found: usize, max: usize) -> Result<(), DecodeError> {
    if found > max {
        return Err(DecodeError::Bound { field, found: found as u64, max: max as u64 });
    }
    Ok(())
}

/// Checks a text for people: its bytes, and that it has no control characters.
pub fn text(field: &'static str, found: &str, max: usize) -> Result<(), DecodeError> {
    bound(field, found.len(), max)?;
    match found.chars().any(char::is_control) {
        true => Err(DecodeError::Control { field }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair {
        a: u64,
        b: Option<u8>,
    }

    #[test]
    fn only_the_encoders_own_bytes_are_read() {
        let good = encode(&Pair { a: 1, b: None });
        assert_eq!(decode::<Pair>(&good), Ok(Pair { a: 1, b: None }));
        let mut trailing = good.clone();
        trailing.push(0);
        assert!(decode::<Pair>(&trailing).is_err());
        let long_integer = [&good[..3], &[0x18, 0x01], &good[4..]].concat();
        assert_eq!(decode::<Pair>(&long_integer), Err(DecodeError::NotCanonical));
        let indefinite = [&[0xbf], &good[1..], &[0xff]].concat();
        assert_eq!(decode::<Pair>(&indefinite), Err(DecodeError::NotCanonical));
        let as_array = [0x82, 0x01, 0xf6];
        assert_eq!(decode::<Pair>(&as_array), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(decode::<Pair>(&[0x81; 100_000]).is_err());
    }
}
