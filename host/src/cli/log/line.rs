//! How one certificate of a log is shown: a line for people, an object for scripts.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::super::output::{Stream, paint};
use crate::node::happening::{reason, worth};
use crate::verify::chain::{Before, Link, Standing, Vouched};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::NodeId;

/// What people call nodes.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// The voters of some electorates.
    pub fn of(electorates: &[Electorate]) -> Self {
        let voters = electorates.iter().rev().flat_map(|electorate| &electorate.voters);
        Names(voters.map(|voter| (voter.key.to_string(), voter.name.clone())).collect())
    }

    /// Adds a name for a key, as somebody says; control characters in it are left out.
    pub fn add(&mut self, key: String, name: &str) {
        let name = name.chars().filter(|c| !c.is_control()).take(64).collect();
        self.0.entry(key).or_insert(name);
    }

    /// The name, or the head of the key.
    pub fn name(&self, key: &NodeId) -> String {
        self.0.get(&key.to_string()).cloned().unwrap_or_else(|| key.short())
    }

    fn all(&self, keys: &[NodeId]) -> String {
        keys.iter().map(|key| self.name(key)).collect::<Vec<_>>().join(" ")
    }
}

/// `term 12  node-2  by priority  2026-11-22T19:20:01.000Z  3 signed: node-1 node-2 node-4  attested`, with a line before it
/// where something is missing.
pub fn text(link: &Link, names: &Names) -> String {
    let certificate = &link.certificate;
    let (term, leader) = (certificate.term, names.name(&certificate.leader));
    let mut words = vec![
        format!("term {term:<5}"),
        format!("{leader:<10}"),
        format!("{:<29}", reason(certificate.reason)),
        certificate.not_after.to_string(),
        format!("{} signed: {}", certificate.signers.len(), names.all(&certificate.signers)),
    ];
    if certificate.coordinator != certificate.leader {
        words.push(format!("called by {}", names.name(&certificate.coordinator)));
    }
    if !certificate.skipped.is_empty() {
        words.push(format!("{} views did not count", certificate.skipped.len()));
    }
    words.push(standing(&link.standing));
    if link.passed_over {
        words.push("passed over".into());
    }
    let line = words.join("  ");
    match link.before.as_ref().and_then(missing) {
        Some(missing) => format!("{}\n{line}", paint(Stream::Out, "33", &missing)),
        None => line,
    }
}

/// What is missing before a certificate.
fn missing(before: &Before) -> Option<String> {
    match before {
        Before::Gap(missing) => Some(format!("  GAP: the certificate of term {} is not here", missing.term)),
        Before::Begins(before) => Some(format!("  it begins after term {}", before.term)),
        Before::Nothing | Before::Follows(_) => None,
    }
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Unchecked => "not verified".into(),
        Standing::Valid { assurance, .. } => {
            let style = if *assurance == Assurance::Attested { "32" } else { "33" };
            paint(Stream::Out, style, &worth(*assurance))
        }
        Standing::Invalid { step, why } => {
            format!("{} check {step}: {why}", paint(Stream::Out, "31;1", "INVALID"))
        }
    }
}

/// The same as an object.
pub fn object(link: &Link, names: &Names) -> Value {
    let certificate = &link.certificate;
    let named = |key: &NodeId| json!({ "name": names.name(key), "key": key.to_string() });
    let previous = certificate.previous.map(|previous| {
        let (term, digest) = (previous.term, previous.certificate.to_string());
        json!({ "term": term, "leader": named(&previous.leader), "certificate": digest })
    });
    let (checked, assurance, vouched, why) = match &link.standing {
        Standing::Unchecked => (Value::Null, None, None, None),
        Standing::Valid { assurance, vouched } => (true.into(), Some(*assurance), Some(word(*vouched)), None),
        Standing::Invalid { step, why } => (false.into(), None, None, Some(format!("check {step}: {why}"))),
    };
    json!({
        "term": certificate.term,
        "leader": named(&certificate.leader),
        "leader_generation": certificate.leader_generation,
        "coordinator": named(&certificate.coordinator),
        "reason": reason(certificate.reason),
        "not_after": certificate.not_after.to_string(),
        "signers": certificate.signers.iter().map(named).collect::<Vec<_>>(),
        "skipped": certificate.skipped.len(),
        "certificate": link.digest.to_string(),
        "electorate": certificate.electorate.to_string(),
        "previous": previous,
        "gap": matches!(link.before, Some(Before::Gap(_))),
        "passed_over": link.passed_over,
        "valid": checked,
        "assurance": assurance,
        "vouched_for_by": vouched,
        "invalid_because": why,
        "read_at": link.origin.to_string(),
    })
}

fn word(vouched: Vouched) -> &'static str {
    match vouched {
        Vouched::Live => "attestation",
        Vouched::Promises => "voters",
        Vouched::Successor => "the certificate after it",
    }
}
