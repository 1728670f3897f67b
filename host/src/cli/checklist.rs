//! How commands show numbered checks: a line for people, an object for scripts.

use serde_json::{Value, json};

use crate::verify::Status;

use super::output::{Stream, paint};

/// `   7  OK       title: what was found`
pub fn line(number: &str, title: &str, status: Status, found: &str) -> String {
    let (word, style) = match status {
        Status::Passed => ("OK", "32"),
        Status::Failed => ("FAILED", "31;1"),
        Status::Expired => ("EXPIRED", "33"),
        Status::NotAsked => ("-", "2"),
        Status::NotReached => ("not made", "2"),
    };
    let found = if found.is_empty() { String::new() } else { format!(": {found}") };
    format!("  {number:>4}  {} {title}{found}", paint(Stream::Out, style, &format!("{word:<8}")))
}

/// The same as an object.
pub fn object(number: &str, title: &str, status: Status, found: &str) -> Value {
    json!({ "number": number, "title": title, "status": status.word(), "found": found })
}
