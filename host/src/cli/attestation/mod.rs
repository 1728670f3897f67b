//! `nitro-elect attestation`: attestation documents, ours or any other enclave's, for people who hold one.

mod show;
mod verify;

use clap::Subcommand;
use std::process::ExitCode;

use super::failure::Failure;

const AFTER_HELP: &str = "\
A document is read as the NSM returned it (CBOR), or as that in base64 or
hexadecimal. To take the document of a node's certificate:

Examples:
  curl --silent http://127.0.0.1:15000/v1/certificate | jq -r .document > document.b64
  nitro-elect attestation show document.b64
  nitro-elect attestation verify document.b64 --pcr0 HEX --nonce HEX
  nitro-elect attestation verify document.b64 --pcr0 HEX --at 2026-11-22T13:05:00Z";

/// Show or verify an attestation document of any enclave
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Show(show::Args),
    Verify(Box<verify::Args>),
}

/// Shows or verifies.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Show(args) => show::run(&args),
        Action::Verify(args) => verify::run(&args),
    }
}
