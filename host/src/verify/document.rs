//! One attestation document, ours or any other enclave's, check by check: 1 to 16 of `docs/ATTESTATION.md`.
//!
//! The three checks that bind an election service's keys are not made, as other enclaves have other keys.

use nitro_elect_protocol::attestation::{
    AttestationError, Check, Checked, DocumentPolicy, Outcome, VerifiedDocument, verify_document,
};

use super::report::{Accept, Status, Verdict};

/// What became of each check of a document, and what follows.
#[derive(Debug)]
pub struct DocumentReport {
    /// Checks 1 to 16, in order: what became of each, and what was found or why it failed.
    pub lines: Vec<(Check, Status, String)>,
    /// What follows from them.
    pub verdict: Verdict,
    /// The document, unless it is invalid.
    pub document: Option<VerifiedDocument>,
}

/// Verifies a document. Debug mode is let through to the verdict, where only the caller's word accepts it; an
/// expectation that cannot be used is an error, and nothing was checked then.
pub fn examine_document(
    document: &[u8],
    policy: &DocumentPolicy<'_>,
    accept: Accept,
) -> Result<DocumentReport, AttestationError> {
    let policy = DocumentPolicy { allow_debug: true, ..*policy };
    match verify_document(document, &policy) {
        Ok(document) => {
            let enough = accept.is_enough(document.assurance());
            let verdict = if enough { Verdict::Valid } else { Verdict::LessAssurance };
            Ok(DocumentReport { lines: passed(&document, accept), verdict, document: Some(document) })
        }
        Err(error) => {
            let Some(failed) = error.check() else { return Err(error) };
            let lines = stopped(failed, &error);
            Ok(DocumentReport { lines, verdict: Verdict::Invalid, document: None })
        }
    }
}

fn passed(document: &VerifiedDocument, accept: Accept) -> Vec<(Check, Status, String)> {
    let line = |checked: &Checked| {
        let (status, found) = match checked.outcome {
            Outcome::Passed => (Status::Passed, found_in(document, checked.check)),
            Outcome::DebugAllowed if accept.debug => (Status::Passed, "DEBUG MODE, which you allow".into()),
            Outcome::DebugAllowed => (Status::Failed, "DEBUG MODE: its measurements say nothing".into()),
            Outcome::NotAsked => (Status::NotAsked, not_asked(checked.check).into()),
            Outcome::Later => (Status::Expired, String::new()),
        };
        (checked.check, status, found)
    };
    document.checks().iter().map(line).collect()
}

fn found_in(document: &VerifiedDocument, check: Check) -> String {
    match check {
        Check::Dates => document.certificates().last().map_or_else(String::new, |leaf| {
            format!("the leaf from {} to {}", leaf.validity.not_before, leaf.validity.not_after)
        }),
        Check::Signature => format!("module {:?}", document.module_id()),
        Check::Future | Check::Age => format!("made {}", document.timestamp()),
        _ => String::new(),
    }
}

fn not_asked(check: Check) -> &'static str {
    match check {
        Check::Nonce => "no nonce was given, so this may answer anybody's question",
        _ => "no bound was given: the leaf's dates are the only one",
    }
}

/// The checks before the one that failed passed, those after it were not made.
fn stopped(failed: Check, error: &AttestationError) -> Vec<(Check, Status, String)> {
    let line = |check: Check| match check.cmp(&failed) {
        std::cmp::Ordering::Less => (check, Status::Passed, String::new()),
        std::cmp::Ordering::Equal => (check, Status::Failed, error.to_string()),
        std::cmp::Ordering::Greater => (check, Status::NotReached, String::new()),
    };
    Check::ALL.into_iter().filter(|check| *check <= Check::Nonce).map(line).collect()
}
