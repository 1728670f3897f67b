//! `nitro-elect drain` and `undrain`: whether a node may lead.

use std::process::ExitCode;

use super::Failure;
use super::flags::admin::{AdminFlags, block_on, order_unanswered, patiently, read};
use super::output::Format;
use crate::http::orders::Drain;

const DRAIN_AFTER_HELP: &str = "\
For maintenance: a drained node goes on voting and does not lead. If it leads, it
hands over as soon as somebody else is eligible. It lasts until `undrain`, or until
the node starts again.

Examples:
  nitro-elect drain
  nitro-elect drain --admin 127.0.0.1:15001

Exit codes: 0 done, 1 refused or failed, 2 wrong usage or an unreadable file";

const UNDRAIN_AFTER_HELP: &str = "\
Examples:
  nitro-elect undrain
  nitro-elect undrain --admin 127.0.0.1:15001

Exit codes: 0 done, 1 refused or failed, 2 wrong usage or an unreadable file";

/// Make a node ineligible to lead, stepping down if it leads
#[derive(Debug, clap::Args)]
#[command(after_help = DRAIN_AFTER_HELP)]
pub struct DrainArgs {
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    format: Format,
}

/// Make a drained node eligible to lead again
#[derive(Debug, clap::Args)]
#[command(after_help = UNDRAIN_AFTER_HELP)]
pub struct UndrainArgs {
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    format: Format,
}

/// Drains the node.
pub fn drain(args: DrainArgs) -> Result<ExitCode, Failure> {
    order(&args.admin, args.format, true)
}

/// Ends a drain.
pub fn undrain(args: UndrainArgs) -> Result<ExitCode, Failure> {
    order(&args.admin, args.format, false)
}

fn order(admin: &AdminFlags, format: Format, draining: bool) -> Result<ExitCode, Failure> {
    let done: Drain = block_on(async {
        let mut client = admin.client().await?;
        let answer = patiently(client.address(), client.post("/v1/drain", &Drain { draining })).await;
        read(&answer.map_err(order_unanswered)?)
    })?;
    let text = match done.draining {
        true => "the node is drained: it votes, stands for no election, and hands over if it leads",
        false => "the node may lead",
    };
    format.print(text, &done)?;
    Ok(ExitCode::SUCCESS)
}
