//! `nitro-elect verify --evidence`: which voters are shown to be dishonest.

use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::failure::{FAILED, Failure, USAGE};
use crate::cli::output::{Format, Stream, paint};
use crate::evidence_file;
use crate::manifest::Manifest;
use crate::verify::{Acquittal, convict};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::evidence::{Evidence, VerifiedEvidence};

/// Verifies every piece; exit 0 if there is one and each of them proves what it claims.
pub fn run(file: &Path, manifest: Option<&Path>, format: Format) -> Result<ExitCode, Failure> {
    let manifest = manifest.ok_or_else(|| {
        Failure::new(USAGE, "evidence is of voters, whom a manifest names", "add --manifest FILE")
    })?;
    let electorate = Manifest::load(manifest).map_err(Failure::unreadable)?.electorate;
    let pieces = evidence_file::load(file).map_err(Failure::unreadable)?;
    let verdicts: Vec<_> = pieces.iter().map(|piece| (piece, convict(piece, &electorate))).collect();
    let proven = verdicts.iter().filter(|(_, verdict)| verdict.is_ok()).count();
    let mut lines = vec![format!("{}:", file.display())];
    lines.extend(verdicts.iter().map(|(piece, verdict)| text(piece, verdict, &electorate)));
    lines.push(String::new());
    lines.push(conclusion(proven, pieces.len()));
    let value = json!({
        "proven": proven,
        "evidence": verdicts.iter().map(|(piece, verdict)| object(piece, verdict, &electorate)).collect::<Vec<_>>(),
    });
    format.print(&lines.join("\n"), &value)?;
    Ok(ExitCode::from(if proven > 0 && proven == pieces.len() { 0 } else { FAILED }))
}

fn conclusion(proven: usize, pieces: usize) -> String {
    match (proven, pieces) {
        (_, 0) => "No voter is accused.".into(),
        (proven, pieces) if proven == pieces => paint(
            Stream::Out,
            "31;1",
            &format!("EQUIVOCATION: {proven} of the voters signed twice for one term."),
        ),
        (proven, pieces) => {
            format!("{proven} of {pieces} pieces prove equivocation; the others prove nothing.")
        }
    }
}

fn text(piece: &Evidence, verdict: &Result<VerifiedEvidence, Acquittal>, electorate: &Electorate) -> String {
    match verdict {
        Err(why) => format!("  {}  {why}", paint(Stream::Out, "33", "NOT PROVEN")),
        Ok(found) => {
            let (name, term) = (super::name(Some(electorate), &found.voter), found.term);
            let word = paint(Stream::Out, "31;1", "PROVEN    ");
            format!(
                "  {word}  {name} ({}) signed two views for term {term}: {}",
                found.voter,
                contrast(piece)
            )
        }
    }
}

/// What the two views say differently, as far as a line can tell.
fn contrast(piece: &Evidence) -> String {
    let (Ok(first), Ok(second)) = (piece.first.peek(), piece.second.peek()) else { return String::new() };
    let differences = [
        ("coordinator", first.coordinator != second.coordinator),
        ("coordinator's life", first.coordinator_generation != second.coordinator_generation),
        ("electorate", first.electorate != second.electorate),
        ("enclave", first.enclave != second.enclave),
        ("own life", first.voter_generation != second.voter_generation),
        ("active list", first.active != second.active),
        ("eligibility", first.eligible != second.eligible),
        ("successor", first.preferred != second.preferred),
        ("last accepted", first.accepted != second.accepted),
        ("time of signing", first.signed_at != second.signed_at),
    ];
    let named: Vec<&str> =
        differences.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
    format!("they differ in {}", named.join(", "))
}

fn object(piece: &Evidence, verdict: &Result<VerifiedEvidence, Acquittal>, electorate: &Electorate) -> Value {
    match verdict {
        Err(why) => json!({ "proven": false, "why": why.to_string() }),
        Ok(found) => json!({
            "proven": true,
            "voter": { "name": super::name(Some(electorate), &found.voter), "key": found.voter.to_string() },
            "term": found.term,
            "how": contrast(piece),
        }),
    }
}
