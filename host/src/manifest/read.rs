//! Reading a manifest: TOML to [`Manifest`], with every fault of the file in one go.
//!
//! What cannot be read is replaced by something harmless, so that the rest can still be judged; a manifest comes out
//! only if there was no fault at all.

use std::collections::BTreeSet;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use nitro_elect_protocol::electorate::{Electorate, Voter};
use nitro_elect_protocol::hash;
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, NodeId, ParseIdError, Pcr};
use nitro_elect_protocol::limits::{AGE_DEFAULT, LEASE_DEFAULT, OBSERVERS_MAX, VOTERS_MAX};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::quorum;
use nitro_elect_protocol::trust::{PcrSet, Root, Trust};

use super::fault::{Fault, FaultKind};
use super::lines::{Lines, SetLines, VoterLines};
use super::table::{At, Findings, Table};
use super::words::{self, OFF, PREFERENCES, RULES};
use super::{Manifest, WEIGHT_DEFAULT};
use crate::core::config::Observers;
use crate::duration;
use crate::trust_file;

/// Reads the text of a manifest.
pub(super) fn read(text: &str) -> Result<Manifest, Vec<Fault>> {
    let mut findings = Findings::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = findings.line(error.span().map_or(0, |span| span.start));
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        findings.note(line, FaultKind::Syntax(message));
    }
    let mut lines = Lines::default();
    let manifest = manifest(Table::new(document.get_ref(), "", 1, &findings), &mut lines, &mut findings);
    for fault in manifest.electorate.faults() {
        findings.note(lines.of(&fault), fault.into());
    }
    let mut faults = findings.finish();
    if !errors.is_empty() {
        // What a broken line said is not missing.
        faults.retain(|fault| !matches!(fault.what, FaultKind::Missing { .. }));
        // Some other kind of file would have a fault in each of its lines.
        if manifest.electorate.voters.is_empty() {
            faults.retain(|fault| matches!(fault.what, FaultKind::Syntax(_)));
            faults.truncate(1);
        }
    }
    if faults.is_empty() { Ok(manifest) } else { Err(faults) }
}

fn manifest(mut table: Table<'_>, lines: &mut Lines, findings: &mut Findings<'_>) -> Manifest {
    let version = required(&mut table, "version", Table::any_number, findings);
    lines.note("version", version);
    let cluster = cluster(&mut table, findings);
    let name = required(&mut table, "name", Table::text, findings);
    lines.note("name", name);
    let epoch = required(&mut table, "epoch", Table::any_number, findings);
    let previous = id(&mut table, "previous", ElectorateDigest::from_hex, findings);
    check_epoch(epoch, previous, findings);
    let policy = policy(&mut table, findings);
    let lease = span(&mut table, "lease", findings);
    lines.note("lease", lease);
    let f = table.number("f", (0, VOTERS_MAX as u64), findings);
    lines.note("f", f);
    let trust = trust(&mut table, lines, findings);
    let voters = voters(&mut table, lines, findings);
    let observers = observers(&mut table, &voters, findings);
    table.finish(findings);
    let default_f = quorum::default_f(voters.len()) as u64;
    let mut electorate = Electorate {
        version: version.map_or(1, |version| u32::try_from(version.value).unwrap_or(u32::MAX)),
        cluster: cluster.unwrap_or(ClusterId([1; 16])),
        name: name.map_or("unnamed", |name| name.value).to_owned(),
        epoch: epoch.map_or(1, |epoch| epoch.value),
        previous: previous.map(|previous| previous.value),
        f: f.map_or(default_f, |f| f.value) as u32,
        policy,
        lease_ms: milliseconds(lease.map_or(LEASE_DEFAULT, |lease| lease.value)),
        trust,
        voters,
    };
    electorate.sort();
    Manifest { electorate, observers }
}

type Take<'a, T> = fn(&mut Table<'a>, &'static str, &mut Findings<'_>) -> Option<At<T>>;

/// Takes what has to be there. What is there and wrong was noted already.
fn required<'a, T>(
    table: &mut Table<'a>,
    key: &'static str,
    take: Take<'a, T>,
    findings: &mut Findings<'_>,
) -> Option<At<T>> {
    if !table.has(key) {
        table.missing(key, findings);
    }
    take(table, key, findings)
}

fn cluster(table: &mut Table<'_>, findings: &mut Findings<'_>) -> Option<ClusterId> {
    if !table.has("cluster") {
        table.missing("cluster", findings);
    }
    let cluster = id(table, "cluster", ClusterId::from_hex, findings)?;
    if cluster.value.is_open() {
        findings.note(cluster.line, FaultKind::OpenCluster);
        return None;
    }
    Some(cluster.value)
}

fn check_epoch(epoch: Option<At<u64>>, previous: Option<At<ElectorateDigest>>, findings: &mut Findings<'_>) {
    let Some(epoch) = epoch else { return };
    match (epoch.value, previous) {
        (0, _) => findings.note(epoch.line, FaultKind::EpochZero),
        (1, Some(previous)) => findings.note(previous.line, FaultKind::PreviousOfFirst),
        (later @ 2.., None) => findings.note(epoch.line, FaultKind::PreviousMissing(later)),
        _ => {}
    }
}

fn policy(table: &mut Table<'_>, findings: &mut Findings<'_>) -> Policy {
    let rule = choice(table, "policy", &RULES, findings).unwrap_or(Rule::Priority);
    let default = Policy::of(rule);
    let sticky = table.truth("sticky", findings).map_or(default.sticky, |sticky| sticky.value);
    let prefer = choice(table, "prefer", &PREFERENCES, findings).unwrap_or(default.prefer);
    Policy { rule, sticky, prefer }
}

fn choice<T: Copy>(
    table: &mut Table<'_>,
    key: &'static str,
    words: &'static [(&'static str, T)],
    findings: &mut Findings<'_>,
) -> Option<T> {
    let word = table.text(key, findings)?;
    let value = words::meaning(words, word.value);
    if value.is_none() {
        let (found, choices) = (word.value.chars().take(40).collect(), words::list(words));
        findings.note(word.line, FaultKind::Choice { key: table.name(key), found, choices });
    }
    value
}

fn id<T>(
    table: &mut Table<'_>,
    key: &'static str,
    parse: fn(&str) -> Result<T, ParseIdError>,
    findings: &mut Findings<'_>,
) -> Option<At<T>> {
    let text = table.text(key, findings)?;
    match parse(text.value) {
        Ok(value) => Some(At { line: text.line, value }),
        Err(fault) => {
            findings.note(text.line, FaultKind::Id { key: table.name(key), fault });
            None
        }
    }
}

fn span(table: &mut Table<'_>, key: &'static str, findings: &mut Findings<'_>) -> Option<At<Duration>> {
    let text = table.text(key, findings)?;
    match duration::parse(text.value) {
        Ok(value) => Some(At { line: text.line, value }),
        Err(fault) => {
            findings.note(text.line, FaultKind::Duration { key: table.name(key), fault });
            None
        }
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn trust(table: &mut Table<'_>, lines: &mut Lines, findings: &mut Findings<'_>) -> Trust {
    if !table.has("trust") {
        table.missing("trust", findings);
    }
    let Some(mut trust) = table.table("trust", "trust.", findings) else {
        return Trust::new(Root::Aws, vec![placeholder_set(0)], false, AGE_DEFAULT);
    };
    lines.trust = trust.line;
    let root = root(&mut trust, lines, findings);
    let simulated = trust.truth("simulated", findings);
    if let Some((root, simulated)) = root.as_ref().zip(simulated)
        && let Err(contradiction) = trust_file::check_simulated(root, Some(simulated.value))
    {
        findings.note(simulated.line, FaultKind::Simulated(contradiction));
    }
    let allow_debug = required(&mut trust, "allow_debug", Table::truth, findings);
    let max_age = span(&mut trust, "max_age", findings);
    lines.note("max_age", max_age);
    if let Some(age) = max_age.filter(|age| age.value.subsec_nanos() != 0) {
        findings.note(age.line, FaultKind::WholeSeconds { key: "trust.max_age".into() });
    }
    let accepted = accepted(&mut trust, lines, findings);
    trust.finish(findings);
    let max_age = max_age.map_or(AGE_DEFAULT, |age| age.value);
    Trust::new(root.unwrap_or(Root::Aws), accepted, allow_debug.is_some_and(|allow| allow.value), max_age)
}

fn root(trust: &mut Table<'_>, lines: &mut Lines, findings: &mut Findings<'_>) -> Option<Root> {
    let text = required(trust, "root", Table::text, findings)?;
    lines.note("root", Some(text));
    match trust_file::parse_root(text.value) {
        Ok(root) => Some(root),
        Err(fault) => {
            findings.note(text.line, FaultKind::Root(fault));
            None
        }
    }
}

fn accepted(trust: &mut Table<'_>, lines: &mut Lines, findings: &mut Findings<'_>) -> Vec<PcrSet> {
    let Some(sets) = trust.tables("accepted", "trust.accepted.", findings) else { return Vec::new() };
    let mut read = Vec::new();
    for (index, mut set) in sets.value.into_iter().enumerate() {
        let line = set.line;
        let mut register = |key| required_id(&mut set, key, Pcr::from_hex, findings);
        let (pcr0, pcr1, pcr2) = (register("PCR0"), register("PCR1"), register("PCR2"));
        let pcr8 = id(&mut set, "PCR8", Pcr::from_hex, findings);
        set.finish(findings);
        let placeholder = placeholder_set(index);
        let value = |pcr: Option<At<Pcr>>, other| pcr.map_or(other, |pcr| pcr.value);
        let pcrs = PcrSet {
            pcr0: value(pcr0, placeholder.pcr0),
            pcr1: value(pcr1, placeholder.pcr1),
            pcr2: value(pcr2, placeholder.pcr2),
            pcr8: pcr8.map(|pcr| pcr.value),
        };
        let registers = [(0, pcr0), (1, pcr1), (2, pcr2), (8, pcr8)];
        let registers = registers.iter().filter_map(|(index, pcr)| Some((*index, (*pcr)?.line))).collect();
        lines.sets.push(SetLines { pcrs: pcrs.clone(), line, registers });
        read.push(pcrs);
    }
    lines.sort_sets();
    read
}

/// Takes an identity that has to be there.
fn required_id<T>(
    table: &mut Table<'_>,
    key: &'static str,
    parse: fn(&str) -> Result<T, ParseIdError>,
    findings: &mut Findings<'_>,
) -> Option<At<T>> {
    if !table.has(key) {
        table.missing(key, findings);
    }
    id(table, key, parse, findings)
}

fn voters(table: &mut Table<'_>, lines: &mut Lines, findings: &mut Findings<'_>) -> Vec<Voter> {
    let tables = table.tables("voter", "voter.", findings).map_or_else(Vec::new, |tables| tables.value);
    tables.into_iter().enumerate().map(|(index, table)| voter(index, table, lines, findings)).collect()
}

fn voter(index: usize, mut table: Table<'_>, lines: &mut Lines, findings: &mut Findings<'_>) -> Voter {
    let name = required(&mut table, "name", Table::text, findings);
    let address = required(&mut table, "address", Table::text, findings);
    let key = required_id(&mut table, "key", NodeId::from_hex, findings);
    let weight = table.number("weight", (0, u32::MAX.into()), findings);
    let (placeholder, line) = (format!("voter {}", index + 1), table.line);
    table.finish(findings);
    let voter = Voter {
        name: name.map_or(placeholder.as_str(), |name| name.value).to_owned(),
        address: address.map_or_else(|| format!("unread-{index}:1"), |address| address.value.to_owned()),
        key: key.map_or_else(|| NodeId(hash::sha256(placeholder.as_bytes())), |key| key.value),
        weight: weight.map_or(WEIGHT_DEFAULT, |weight| weight.value as u32),
    };
    let at = |place: Option<usize>| place.unwrap_or(line);
    lines.voters.push(VoterLines {
        voter: voter.clone(),
        name: at(name.map(|name| name.line)),
        address: at(address.map(|address| address.line)),
        key: at(key.map(|key| key.line)),
    });
    voter
}

fn observers(table: &mut Table<'_>, voters: &[Voter], findings: &mut Findings<'_>) -> Observers {
    let Some(At { line, value }) = table.take("observers") else { return Observers::Off };
    match value {
        DeValue::String(word) if word == OFF => Observers::Off,
        DeValue::Integer(_) => open_observers(line, value, findings),
        DeValue::Array(keys) => {
            let keys: Vec<_> =
                keys.iter().map(|key| (findings.line(key.span().start), key.get_ref())).collect();
            listed_observers(line, &keys, voters, findings)
        }
        other => {
            table.other_type(
                "observers",
                line,
                "\"off\", a number, or a list of public keys",
                other,
                findings,
            );
            Observers::Off
        }
    }
}

fn open_observers(line: usize, value: &DeValue<'_>, findings: &mut Findings<'_>) -> Observers {
    let number =
        value.as_integer().and_then(|number| usize::from_str_radix(number.as_str(), number.radix()).ok());
    match number.filter(|number| (1..=OBSERVERS_MAX).contains(number)) {
        Some(number) => Observers::Open(number),
        None => {
            let (key, max) = ("observers".into(), OBSERVERS_MAX as u64);
            findings.note(line, FaultKind::Range { key, min: 1, max });
            Observers::Off
        }
    }
}

fn listed_observers(
    line: usize,
    keys: &[(usize, &DeValue<'_>)],
    voters: &[Voter],
    findings: &mut Findings<'_>,
) -> Observers {
    if keys.len() > OBSERVERS_MAX {
        findings.note(line, FaultKind::TooManyObservers { found: keys.len() });
    }
    let mut listed = BTreeSet::new();
    for (line, key) in keys {
        match NodeId::from_hex(key.as_str().unwrap_or_default()) {
            Ok(key) if voters.iter().any(|voter| voter.key == key) => {
                findings.note(*line, FaultKind::ObserverVotes(key));
            }
            Ok(key) if !listed.insert(key) => findings.note(*line, FaultKind::DoubledObserver(key)),
            Ok(_) => {}
            Err(fault) => findings.note(*line, FaultKind::Id { key: "observers".into(), fault }),
        }
    }
    Observers::Listed(listed)
}

/// A set that no image has and that is no fault, different at each place.
fn placeholder_set(index: usize) -> PcrSet {
    let mut pcr0 = [0xee; 48];
    pcr0[..8].copy_from_slice(&(index as u64).to_be_bytes());
    PcrSet { pcr0: Pcr(pcr0), pcr1: Pcr([0xee; 48]), pcr2: Pcr([0xee; 48]), pcr8: None }
}
