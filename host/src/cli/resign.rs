//! `nitro-elect resign`: the leader hands over, to a named voter or to whom the policy picks.

use std::process::ExitCode;

use super::Failure;
use super::flags::admin::{AdminFlags, block_on, order_unanswered, patiently, read};
use super::output::Format;
use crate::http::orders::{HandedOver, Resign};

const AFTER_HELP: &str = "\
Ask the leader. It returns when the successor holds the lease; if no other voter is
active and eligible, nothing is given up and it says so. The node that resigned is
ineligible for a lease, or until the next leader is known. With --to another may
take over all the same, if the one named cannot: it is told who leads. An election
needs an enclave: while none answers the leader, nothing is given up either, and it
says so.

Examples:
  nitro-elect resign
  nitro-elect resign --to node-2
  nitro-elect resign --admin 127.0.0.1:15001 --json

Exit codes: 0 handed over, 1 refused or failed, 2 wrong usage or an unreadable file";

/// Hand the lead over, and return when the successor holds the lease
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The successor: a voter's name or key [default: whom the policy picks]
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    format: Format,
}

/// Orders the hand-over.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let done: HandedOver = block_on(async {
        let mut client = args.admin.client().await?;
        let order = Resign { to: args.to.clone() };
        let answer = patiently(client.address(), client.post("/v1/resign", &order)).await;
        read(&answer.map_err(order_unanswered)?)
    })?;
    let text = format!("{} leads term {}, after {} ms", done.leader.name, done.term, done.took_ms);
    args.format.print(&text, &done)?;
    if let Some(wanted) = args.to.filter(|to| *to != done.leader.name && *to != done.leader.key) {
        eprintln!("note: {wanted} did not take over; its own `nitro-elect status` and log say why");
    }
    Ok(ExitCode::SUCCESS)
}
