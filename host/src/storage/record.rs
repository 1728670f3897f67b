//! The record: what a node must still know after a crash so that it never contradicts itself (DESIGN §3.6).
//!
//! One small file, replaced whole, in the form of [`super::checked`].

use nitro_elect_protocol::ids::{Generation, NodeId, Term};

use super::checked::{self, FileFault, Kind};
use crate::core::durable::Record;

const KIND: Kind = Kind { magic: *b"NELECTRC", what: "state record", domain: "nitro-elect/v1/record" };

/// Why a file is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not such a file, or was changed after it was written.
    #[error(transparent)]
    File(#[from] FileFault),
    /// A term that no node can have supported.
    #[error("its term {0} is out of range")]
    Term(Term),
}

/// The record of a node that never started.
pub(super) fn newborn(node: NodeId) -> Record {
    Record { node, cluster: None, generation: Generation(0), support: None, forgot_votes: false }
}

/// Whether a node never started, so that it cannot have promised anything.
pub(super) fn is_newborn(record: &Record) -> bool {
    *record == newborn(record.node)
}

/// The bytes of the file.
pub(super) fn to_file(record: &Record) -> Vec<u8> {
    checked::to_file(&KIND, record)
}

/// Reads the bytes of the file.
pub(super) fn from_file(bytes: &[u8]) -> Result<Record, RecordError> {
    let record: Record = checked::from_file(&KIND, bytes)?;
    match record.support {
        Some(support) if !support.term.is_in_range() => Err(RecordError::Term(support.term)),
        _ => Ok(record),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::durable::Support;
    use crate::limits::RECORD_MAX;
    use nitro_elect_protocol::hash;
    use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest};

    fn record() -> Record {
        let (holder, electorate) = (NodeId([2; 32]), ElectorateDigest([4; 32]));
        let support =
            Support { term: Term(9), holder, generation: Generation(5), electorate, lease_ms: 1000 };
        let cluster = Some(ClusterId([3; 16]));
        Record { cluster, generation: Generation(7), support: Some(support), ..newborn(NodeId([1; 32])) }
    }

    #[test]
    fn a_record_round_trips() {
        for record in [record(), newborn(NodeId([8; 32]))] {
            assert_eq!(from_file(&to_file(&record)), Ok(record));
        }
        assert!(to_file(&record()).len() <= RECORD_MAX);
    }

    #[test]
    fn the_format_does_not_change_unnoticed() {
        let golden = "\
            4e454c454354524300000001000000d862e74eef9c3cf34ae16a98344f4293ed91baa62a8826185e\
            0643a07d69ffa296a5646e6f64655820010101010101010101010101010101010101010101010101\
            010101010101010167636c757374657250030303030303030303030303030303036a67656e657261\
            74696f6e0767737570706f7274a5647465726d0966686f6c64657258200202020202020202020202\
            0202020202020202020202020202020202020202026a67656e65726174696f6e056a656c6563746f\
            7261746558200404040404040404040404040404040404040404040404040404040404040404686c\
            656173655f6d731903e86c666f72676f745f766f746573f4";
        assert_eq!(hash::to_hex(&to_file(&record())), golden);
    }

    #[test]
    fn a_record_cut_at_any_byte_is_refused() {
        let bytes = to_file(&record());
        for length in 0..bytes.len() {
            let error = from_file(&bytes[..length]).unwrap_err();
            assert!(
                matches!(error, RecordError::File(FileFault::Length { found, .. }) if found == length),
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn a_record_with_any_bit_flipped_is_refused() {
        let bytes = to_file(&record());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(from_file(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn bytes_after_the_end_are_refused() {
        let bytes = [to_file(&record()), vec![0]].concat();
        assert!(matches!(from_file(&bytes), Err(RecordError::File(FileFault::Length { .. }))));
    }

    #[test]
    fn another_kind_of_file_and_another_version_are_named() {
        let mut bytes = to_file(&record());
        bytes[11] = 2;
        assert_eq!(from_file(&bytes), Err(FileFault::Version(2).into()));
        assert_eq!(from_file(&[b'x'; 300]), Err(FileFault::Magic("state record").into()));
    }

    #[test]
    fn a_term_beyond_all_terms_is_refused() {
        let mut record = record();
        record.support.as_mut().unwrap().term = Term(1 << 53);
        assert_eq!(from_file(&to_file(&record)), Err(RecordError::Term(Term(1 << 53))));
    }
}
