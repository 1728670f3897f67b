//! What a fence must still know after a crash: the highest term it admitted, and whether work of it may be under way.
//!
//! A few lines of text, so that an operator can read them, and their checksum, so that nobody changes them by mistake:
//!
//! ```text
//! nitro-elect/v1/fence
//! cluster 5d0c…
//! term 1795352700001
//! leader 91ab… (or none)
//! open yes
//! checksum SHA-256 of the lines above
//! ```
//!
//! There is one way to write a record; whatever differs from it is refused, and nothing is guessed.

use std::fmt::Write;

use nitro_elect_protocol::hash;
use nitro_elect_protocol::ids::{ClusterId, NodeId, Term};

const FORMAT: &str = "nitro-elect/v1/fence";

/// What is durable of a fence or gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The cluster whose terms these are.
    pub cluster: ClusterId,
    /// The highest term admitted; 0 before the first.
    pub term: Term,
    /// Who leads in it.
    pub leader: Option<NodeId>,
    /// Whether connections of that term may be open: a gate's mark.
    pub open: bool,
}

/// Why a text is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Something else.
    #[error("it does not begin with the line {FORMAT:?}")]
    Format,
    /// Its lines are not those of a record.
    #[error("its lines are not those of a record")]
    Lines,
    /// Changed after it was written.
    #[error("its checksum does not fit its contents")]
    Checksum,
}

impl Record {
    /// The record of a fence that has admitted nobody.
    pub fn newborn(cluster: ClusterId) -> Self {
        Record { cluster, term: Term(0), leader: None, open: false }
    }

    /// The one text of it.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FORMAT}\ncluster {}\nterm {}\n", self.cluster, self.term);
        let leader = self.leader.map_or_else(|| "none".into(), |leader| leader.to_string());
        let open = if self.open { "yes" } else { "no" };
        let written = write!(text, "leader {leader}\nopen {open}\n");
        written.expect("a String takes every text");
        let checksum = checksum(&text);
        text + &format!("checksum {checksum}\n")
    }

    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, RecordFault> {
        let rest = text.strip_prefix(FORMAT).ok_or(RecordFault::Format)?;
        let body = text.rfind("checksum ").map(|at| text.split_at(at)).ok_or(RecordFault::Lines)?;
        if body.1 != format!("checksum {}\n", checksum(body.0)) {
            return Err(RecordFault::Checksum);
        }
        let record = read(rest).ok_or(RecordFault::Lines)?;
        if record.to_text() == text { Ok(record) } else { Err(RecordFault::Lines) }
    }
}

fn read(text: &str) -> Option<Record> {
    let mut lines = text.lines().skip(1);
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let cluster = ClusterId::from_hex(value("cluster")?).ok()?;
    let term = Term(value("term")?.parse().ok()?);
    let leader = match value("leader")? {
        "none" => None,
        key => Some(NodeId::from_hex(key).ok()?),
    };
    let open = value("open")? == "yes";
    term.is_in_range().then_some(Record { cluster, term, leader, open })
}

fn checksum(text: &str) -> String {
    hash::to_hex(&hash::framed(FORMAT, &[text.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record { cluster: ClusterId([3; 16]), term: Term(9), leader: Some(NodeId([2; 32])), open: true }
    }

    #[test]
    fn a_record_round_trips() {
        for record in [record(), Record::newborn(ClusterId([1; 16]))] {
            assert_eq!(Record::parse(&record.to_text()), Ok(record));
        }
    }

    #[test]
    fn the_format_does_not_change_unnoticed() {
        let golden = "nitro-elect/v1/fence\n\
             cluster 03030303030303030303030303030303\n\
             term 9\n\
             leader 0202020202020202020202020202020202020202020202020202020202020202\n\
             open yes\n\
             checksum ";
        let text = record().to_text();
        assert!(text.starts_with(golden) && text.len() == golden.len() + 65, "{text}");
    }

    #[test]
    fn a_record_that_was_cut_or_changed_at_any_byte_is_refused() {
        let text = record().to_text();
        for at in 0..text.len() {
            assert!(Record::parse(&text[..at]).is_err(), "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(Record::parse(&String::from_utf8(bytes).unwrap()).is_err(), "byte {at}");
        }
        assert!(Record::parse(&(text + "\n")).is_err());
    }

    #[test]
    fn lines_with_a_fitting_checksum_must_still_be_a_records() {
        let sealed = |lines: &str| format!("{lines}checksum {}\n", checksum(lines));
        assert_eq!(Record::parse("hello\n"), Err(RecordFault::Format));
        let text = record().to_text();
        let lines = &text[..text.rfind("checksum").unwrap()];
        assert!(Record::parse(&sealed(lines)).is_ok());
        for (from, to) in
            [("term 9", "term 09"), ("term 9", "term 9007199254740992"), ("yes", "maybe"), ("open", "mark")]
        {
            assert_eq!(Record::parse(&sealed(&lines.replace(from, to))), Err(RecordFault::Lines), "{to}");
        }
    }
}
