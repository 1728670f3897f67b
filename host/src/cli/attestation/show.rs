//! `nitro-elect attestation show`: what a document says, with nothing of it verified.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::failure::{FAILED, Failure};
use crate::cli::output::{Format, Stream, paint};
use crate::document_file;
use nitro_elect_protocol::attestation::{
    AttestationError, CertificateSummary, EnclaveBinding, Pcrs, UntrustedDocument,
};
use nitro_elect_protocol::hash::to_hex;

const AFTER_HELP: &str = "\
Nothing is verified: anybody can write a document that says anything. Registers
that hold zeros are left out, unless PCR0 to PCR2 do, as in debug mode.

Examples:
  nitro-elect attestation show document.cose
  nitro-elect attestation show --json document.b64

Exit codes: 0 shown, 1 not an attestation document, 2 wrong usage or an unreadable file";

/// Show what a document says, with nothing of it verified
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The document
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Shows the document.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let bytes = document_file::load(&args.file).map_err(Failure::unreadable)?;
    let document = UntrustedDocument::read(&bytes).map_err(|error| unread(args, error.into()))?;
    args.format.print(&text(args, &document), &value(&document))?;
    Ok(ExitCode::SUCCESS)
}

fn unread(args: &Args, error: AttestationError) -> Failure {
    let check = error.check().map_or_else(String::new, |check| format!(" (check {})", check.number()));
    let what = format!("{}: {error}{check}", args.file.display());
    Failure::new(
        FAILED,
        what,
        "docs/ATTESTATION.md lists the checks; give the document as the NSM returned it",
    )
}

fn text(args: &Args, document: &UntrustedDocument<'_>) -> String {
    let banner = "NOT VERIFIED: anybody can write this. Verify it with `nitro-elect attestation verify`.";
    let mut lines = vec![format!("{}:", args.file.display())];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<12}  {value}"));
    line("module", document.module_id.escape_debug().to_string());
    line("made", document.timestamp.to_string());
    if is_debug(&document.pcrs) {
        line("mode", "DEBUG: PCR0 to PCR2 are zero, and the parent instance can read the enclave".into());
    }
    for (index, pcr) in told(&document.pcrs) {
        line(&format!("PCR{index}"), pcr.to_string());
    }
    for certificate in document.certificates() {
        line("certificate", certificate_text(&certificate));
    }
    line("public_key", field(document.public_key));
    line("user_data", field(document.user_data));
    if let Some(binding) = binding(document) {
        line("", format!("an election service's: version {:?}", binding.service_version()));
        line("", format!("sealing key {}", to_hex(&binding.hpke_public_key().0)));
    }
    line("nonce", field(document.nonce));
    lines.push(String::new());
    lines.push(paint(Stream::Out, "33;1", banner));
    lines.join("\n")
}

fn field(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "none".into(), |bytes| format!("{} bytes, {}", bytes.len(), to_hex(bytes)))
}

fn certificate_text(certificate: &CertificateSummary) -> String {
    let CertificateSummary { place, common_name, validity } = certificate;
    format!("{place}: {common_name}, from {} to {}", validity.not_before, validity.not_after)
}

fn is_debug(pcrs: &Pcrs) -> bool {
    (0..=2).all(|index| pcrs.get(&index).is_some_and(|pcr| pcr.is_zero()))
}

/// The registers worth a line.
fn told(pcrs: &Pcrs) -> impl Iterator<Item = (&u8, &nitro_elect_protocol::ids::Pcr)> {
    pcrs.iter().filter(|(index, pcr)| **index <= 2 || !pcr.is_zero())
}

fn binding(document: &UntrustedDocument<'_>) -> Option<EnclaveBinding> {
    EnclaveBinding::decode(document.user_data?).ok()
}

/// The same for scripts.
fn value(document: &UntrustedDocument<'_>) -> Value {
    let certificate = |certificate: &CertificateSummary| {
        json!({
            "place": certificate.place.to_string(),
            "common_name": certificate.common_name,
            "not_before": certificate.validity.not_before.to_string(),
            "not_after": certificate.validity.not_after.to_string(),
        })
    };
    json!({
        "verified": false,
        "module_id": document.module_id,
        "timestamp": document.timestamp.to_string(),
        "timestamp_ms": document.timestamp.0,
        "debug": is_debug(&document.pcrs),
        "pcrs": document.pcrs.iter().map(|(i, pcr)| (i.to_string(), pcr.to_string().into())).collect::<serde_json::Map<_, _>>(),
        "certificates": document.certificates().iter().map(certificate).collect::<Vec<_>>(),
        "public_key": document.public_key.map(to_hex),
        "user_data": document.user_data.map(to_hex),
        "nonce": document.nonce.map(to_hex),
        "service_version": binding(document).map(|binding| binding.service_version().to_owned()),
    })
}
