//! How commands show numbered checks: a line for people, an object for scripts.

use serde_json::{Value, json};

use crate::verify::{Status, Verdict};

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
    let status = match status {
        Status::Passed => "ok",
        Status::Failed => "failed",
        Status::Expired => "expired",
        Status::NotAsked => "not asked",
        Status::NotReached => "not made",
    };
    json!({ "number": number, "title": title, "status": status, "found": found })
}

/// How scripts read a verdict.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::LessAssurance => "less assurance",
        Verdict::Invalid => "invalid",
    }
}
