//! `nitro-elect manifest diff`: what a new manifest changes, and whether nodes may move to it while others still run.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

use nitro_elect_protocol::change::{SafeChange, Unsafe};
use nitro_elect_protocol::electorate::{Electorate, Voter};

use super::{described, load, summary};
use crate::cli::failure::{FAILED, Failure};
use crate::cli::output::Format;
use crate::duration;
use crate::manifest::{prefer_word, rule_word};

const AFTER_HELP: &str = "\
A step is allowed if it leads to the next epoch of the same cluster, adds or
removes at most one voter, and every quorum of the old manifest and every quorum
of the new one share f + 1 voters, f the larger. Everything else of a manifest
may change in any step.

Examples:
  nitro-elect manifest diff cluster.toml cluster.2.toml
  nitro-elect manifest diff --json cluster.toml cluster.2.toml

Exit codes: 0 allowed, 1 not allowed, 2 wrong usage or a manifest that is faulty or
unreadable";

/// Say what a new manifest changes, and whether the step is allowed
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct DiffArgs {
    /// The manifest that the nodes run
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Its successor
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Says it.
pub fn diff(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let (before, after) = (&old.electorate, &new.electorate);
    let mut differences = differences(before, after);
    if old.observers != new.observers {
        differences.push("observers: others, which needs nobody's approval".into());
    }
    let checked = SafeChange::check(before, after);
    let reasons = checked.as_ref().err().map_or(&[][..], Vec::as_slice);
    let mut lines = vec![
        format!("old: epoch {}: {}", before.epoch, summary(&old)),
        format!("new: epoch {}: {}", after.epoch, summary(&new)),
    ];
    lines.extend(differences.iter().map(|difference| format!("  {difference}")));
    lines.push(verdict(&checked, before));
    lines.extend(reasons.iter().map(|reason| format!("  {}: {reason}", reason.name())));
    let json = json!({
        "allowed": checked.is_ok(),
        "reasons": reasons.iter().map(described_reason).collect::<Vec<_>>(),
        "differences": differences,
        "shared": checked.as_ref().ok().map(SafeChange::shared),
        "approvals_needed": before.quorum(),
        "old": described(&args.old, &old),
        "new": described(&args.new, &new),
    });
    args.format.print(&lines.join("\n"), &json)?;
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn described_reason(reason: &Unsafe) -> Value {
    json!({ "name": reason.name(), "reason": reason.to_string() })
}

fn verdict(checked: &Result<SafeChange, Vec<Unsafe>>, old: &Electorate) -> String {
    match checked {
        Ok(safe) => format!(
            "allowed: quorums of both share at least {}; {} approvals by voters of the old manifest are needed",
            safe.shared(),
            old.quorum()
        ),
        Err(_) => "NOT allowed:".into(),
    }
}

/// Every difference, each in a few words.
fn differences(old: &Electorate, new: &Electorate) -> Vec<String> {
    let mut found = Vec::new();
    for voter in &new.voters {
        match old.voter(&voter.key) {
            None => {
                found.push(format!("+ voter {} at {} ({})", voter.name, voter.address, voter.key.short()))
            }
            Some(before) => found.extend(voter_differences(before, voter)),
        }
    }
    let gone = old.voters.iter().filter(|voter| !new.contains(&voter.key));
    found.extend(
        gone.map(|voter| format!("- voter {} at {} ({})", voter.name, voter.address, voter.key.short())),
    );
    found.extend(other("f", &old.f, &new.f));
    found.extend(other("name", &old.name, &new.name));
    found.extend(other("lease", &duration::format(old.lease()), &duration::format(new.lease())));
    let (policy, next) = (&old.policy, &new.policy);
    found.extend(other("policy", &rule_word(policy.rule), &rule_word(next.rule)));
    found.extend(other("sticky", &policy.sticky, &next.sticky));
    found.extend(other("prefer", &prefer_word(policy.prefer), &prefer_word(next.prefer)));
    found.extend(trust_differences(old, new));
    found
}

fn other<T: PartialEq + std::fmt::Display>(what: &str, old: &T, new: &T) -> Option<String> {
    (old != new).then(|| format!("{what}: {old} becomes {new}"))
}

fn voter_differences(old: &Voter, new: &Voter) -> Vec<String> {
    let named = |what: &str| format!("voter {}: {what}", old.name);
    let changes = [
        other(&named("name"), &old.name, &new.name),
        other(&named("address"), &old.address, &new.address),
        other(&named("weight"), &old.weight, &new.weight),
    ];
    changes.into_iter().flatten().collect()
}

fn trust_differences(old: &Electorate, new: &Electorate) -> Vec<String> {
    let (before, after) = (&old.trust, &new.trust);
    let mut found = Vec::new();
    if before.root != after.root {
        found.push("trust: another root".into());
    }
    found.extend(other("trust: allow_debug", &before.allow_debug, &after.allow_debug));
    let age = |electorate: &Electorate| duration::format(electorate.trust.max_age());
    found.extend(other("trust: max_age", &age(old), &age(new)));
    let set = |sign, pcr0: String| format!("{sign} accepted image with PCR0 {}", &pcr0[..16]);
    let only = |one: &Electorate, other: &Electorate, sign: char| -> Vec<String> {
        let sets = one.trust.accepted.iter().filter(|pcrs| !other.trust.accepted.contains(pcrs));
        sets.map(|pcrs| set(sign, pcrs.pcr0.to_string())).collect()
    };
    found.extend(only(new, old, '+'));
    found.extend(only(old, new, '-'));
    found
}
