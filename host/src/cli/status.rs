//! `nitro-elect status`: the cluster at a glance, as one node sees it.

use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::flags::admin::{AdminFlags, block_on, patiently, read, unanswered};
use super::output::{Format, Stream, paint};
use crate::core::diagnosis::Cause;
use crate::duration::about;
use crate::http::answers::{Enclave, Member, Overview, Who};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::time::Wall;

const AFTER_HELP: &str = "\
Everything is what this one node knows at this moment; ask another with --admin.
Where nobody leads it says why, and what to do. The last elections are told with why
each was needed, as this node saw it, and why its leader was chosen.

Examples:
  nitro-elect status
  nitro-elect status --admin 127.0.0.1:15001
  nitro-elect status --json | jq -r .leader.name

Exit codes: 0 there is a leader, 1 no answer, or nobody leads, 2 wrong usage or an
unreadable file";

/// Elections shown to people.
const ELECTIONS_SHOWN: usize = 5;

/// Show the cluster at a glance, as one node sees it
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize, Deserialize)]
struct Elections {
    elections: Vec<Election>,
}

#[derive(Serialize, Deserialize)]
struct Election {
    at_ms: u64,
    text: String,
    /// Everything else that the node says of it, for programs.
    #[serde(flatten)]
    fields: serde_json::Map<String, serde_json::Value>,
}

/// Everything that is shown.
#[derive(Serialize)]
struct Glance {
    #[serde(flatten)]
    overview: Overview,
    elections: Vec<Election>,
}

/// Asks and shows.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let glance = block_on(async {
        let mut client = args.admin.client().await?;
        let overview =
            read(&patiently(client.address(), client.get("/v1/status")).await.map_err(unanswered)?)?;
        let Elections { elections } = read(&client.get("/v1/elections").await.map_err(unanswered)?)?;
        Ok(Glance { overview, elections })
    })?;
    args.format.print(&text(&glance), &glance)?;
    Ok(if glance.overview.leader.leader.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(glance: &Glance) -> String {
    let overview = &glance.overview;
    let mut lines = vec![leader(overview)];
    lines.extend(overview.leader.diagnosis.iter().map(cause));
    lines.extend([String::new(), cluster(overview), node(overview), String::new()]);
    lines.extend(members(&overview.members.members, overview.leader.leader.as_ref()));
    if !overview.enclaves.is_empty() {
        lines.push(String::new());
    }
    lines.extend(overview.enclaves.iter().zip(1..).map(|(one, number)| enclave(one, number)));
    if !glance.elections.is_empty() {
        lines.push(String::new());
        lines.extend(elections(&glance.elections));
    }
    lines.join("\n")
}

fn leader(overview: &Overview) -> String {
    let leader = &overview.leader;
    let worth = match leader.assurance {
        None | Some(Assurance::Attested) => String::new(),
        Some(less) => format!(", {}", less.to_string().to_uppercase()),
    };
    match &leader.leader {
        Some(who) => {
            let (term, left) = (leader.term, leader.lease_ms);
            let name = paint(Stream::Out, "32;1", &who.name);
            format!("{name} at {} leads term {term}, {left} ms of its lease left{worth}", who.address)
        }
        None => format!(
            "{}, as far as {} can tell:",
            paint(Stream::Out, "31;1", "nobody leads"),
            overview.node.name
        ),
    }
}

fn cause(cause: &Cause) -> String {
    format!("  {}\n    -> {}", cause.text, cause.next)
}

fn cluster(overview: &Overview) -> String {
    let cluster = &overview.cluster;
    let kind = if cluster.open { "OPEN cluster" } else { "cluster" };
    let (name, n, f, quorum) = (&cluster.name, cluster.n, cluster.f, cluster.quorum);
    let digest = cluster.electorate.get(..16).unwrap_or(&cluster.electorate);
    format!("{kind} {name:?}: {n} voters, f = {f}, quorum {quorum}, electorate {digest}")
}

fn node(overview: &Overview) -> String {
    let role = if overview.voter { "voter" } else { "observer" };
    let held = match overview.leader.this_node {
        true => format!(", it leads with the promises of {} voters", overview.supporters),
        false => overview.promise.as_ref().map_or_else(String::new, |promise| {
            let left = about(Duration::from_millis(promise.left_ms));
            format!(", bound by its promise to {} for {left} more", promise.to)
        }),
    };
    let ready = match &overview.not_ready_because {
        Some(why) if !overview.ready => format!("not ready: {why}"),
        _ => "ready".into(),
    };
    format!("as seen by {} ({role}, generation {}): {ready}{held}", overview.node.name, overview.generation)
}

fn members(members: &[Member], leader: Option<&Who>) -> Vec<String> {
    let name_width = members.iter().map(|member| member.name.len()).max().unwrap_or(0);
    let address_width = members.iter().map(|member| member.address.len()).max().unwrap_or(0);
    let line = |member: &Member| {
        let mut words = vec![if member.active { paint(Stream::Out, "32", "active") } else { silent(member) }];
        if leader.is_some_and(|leader| leader.key == member.key) {
            words.push("leads".into());
        }
        if member.this_node {
            words.push("this node".into());
        }
        if !member.voter {
            words.push("observer".into());
        }
        if member.active && member.voter && !member.eligible {
            words.push("not eligible".into());
        }
        if !member.this_node && !member.connected {
            words.push("not connected".into());
        }
        let (name, address) = (&member.name, &member.address);
        format!("  {name:name_width$}  {address:address_width$}  {}", words.join(", "))
    };
    members.iter().map(line).collect()
}

fn silent(member: &Member) -> String {
    let since = member.silent_ms.map_or_else(
        || "never heard".into(),
        |ms| format!("silent for {}", about(Duration::from_millis(ms))),
    );
    paint(Stream::Out, "33", &since)
}

fn enclave(enclave: &Enclave, number: usize) -> String {
    let place = &enclave.endpoint;
    let id = enclave.id.as_deref().map_or("not verified", |id| id.get(..16).unwrap_or(id));
    let worth =
        enclave.assurance.map_or_else(String::new, |worth| format!(", {}", worth.to_string().to_uppercase()));
    let registers = [("PCR0", &enclave.pcr0), ("PCR1", &enclave.pcr1), ("PCR2", &enclave.pcr2)];
    let head =
        |(name, pcr): (&str, &Option<String>)| Some(format!(", {name} {}", pcr.as_deref()?.get(..12)?));
    let measured: String = registers.into_iter().filter_map(head).collect();
    let state = match (&enclave.error, enclave.answered_ms_ago) {
        (Some(error), _) => format!(": {}", paint(Stream::Out, "31", error)),
        (None, Some(ms)) => format!(", answered {} ago", about(Duration::from_millis(ms))),
        (None, None) => String::new(),
    };
    format!("enclave {number} at {place}: {id}{worth}{measured}{state}")
}

/// The last ones, the newest first; failures in a row are one line.
fn elections(elections: &[Election]) -> Vec<String> {
    let runs = elections.chunk_by(|one, next| one.has_failed() && next.has_failed());
    let line = |run: &[Election]| {
        let last = run.last()?;
        let times = if run.len() > 1 { format!(" ({} times)", run.len()) } else { String::new() };
        Some(format!("{}  {}{times}", Wall(last.at_ms), last.text))
    };
    runs.rev().take(ELECTIONS_SHOWN).filter_map(line).collect()
}

impl Election {
    fn has_failed(&self) -> bool {
        self.fields.get("event").is_some_and(|event| event == "call_failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn election(at_ms: u64, event: &str) -> Election {
        serde_json::from_value(json!({ "at_ms": at_ms, "text": format!("no. {at_ms}"), "event": event }))
            .unwrap()
    }

    #[test]
    fn failures_in_a_row_push_no_election_out_of_sight() {
        let mut all = vec![election(1, "elected"), election(2, "call_failed"), election(3, "elected")];
        all.extend((4..40).map(|at| election(at, "call_failed")));
        let shown = elections(&all);
        let ends: Vec<&str> = shown.iter().filter_map(|line| line.split("  ").nth(1)).collect();
        assert_eq!(ends, ["no. 39 (36 times)", "no. 3", "no. 2", "no. 1"]);
    }
}
