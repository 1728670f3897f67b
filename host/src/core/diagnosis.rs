//! Why nobody leads, as far as one node can tell, and what somebody can do about it.
//!
//! Computed from a [`Status`] alone. What an operator can mend comes first, what only time mends last. Several causes
//! can hold at once; each is named, so that programs need not read sentences.

mod cause;
#[cfg(test)]
mod tests;

pub use cause::{Cause, CauseName};

use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::FUTURE_MAX;
use nitro_elect_protocol::peer::Refusal;
use std::time::Duration;

use super::event::{CallFailure, Unanswered};
use super::status::{EnclaveStatus, MemberStatus, Status};
use crate::duration::about;

/// How far a wall clock may be from the cluster's before it is called wrong: half of what documents of enclaves may
/// be ahead, so that it is told before they are refused.
const CLOCK_OFF: Duration = FUTURE_MAX.checked_div(2).expect("two is not zero");

/// Why nobody leads. To be asked while no lease is known; there is always at least one cause.
pub fn causes(status: &Status) -> Vec<Cause> {
    let mut causes: Vec<Cause> = own_state(status).into_iter().chain(voters_missing(status)).collect();
    causes.extend(other_manifests(status));
    causes.extend(clocks(status));
    causes.extend(enclaves(status));
    causes.extend(nobody_eligible(status));
    causes.extend(refusing_voters(status));
    causes.extend(waits(status));
    causes.extend(failed_election(status));
    if causes.is_empty() {
        causes.push(under_way(status));
    }
    causes
}

/// What is wrong with this node itself.
fn own_state(status: &Status) -> Vec<Cause> {
    let mut causes = Vec::new();
    if status.halted {
        causes.push(Cause::new(
            CauseName::Halted,
            "another process runs under this node's key, so it signs nothing any more",
            "find the copy of its state directory, stop it, and give this node a new key",
        ));
    }
    if status.votes_lost {
        causes.push(Cause::new(
            CauseName::VotesLost,
            "this node's earlier votes are lost, so it must not vote yet",
            "let it reach the other voters: it votes again once enough of them told it their terms",
        ));
    }
    if let Some(error) = &status.write_error {
        causes.push(Cause::new(
            CauseName::StateNotWritten,
            format!("this node cannot write its state, so it does not vote: {error}"),
            "free space on the disk of its state directory, or make it writable; no restart is needed",
        ));
    }
    causes
}

fn voters_missing(status: &Status) -> Option<Cause> {
    let (n, quorum) = (status.electorate.n(), status.electorate.quorum());
    if status.electorate.is_open() && n == 1 {
        let text = "no other node is active";
        return (!status.alone).then(|| {
            let next = "start another with -n and this node's address; or give --alone to lead a list of this node alone";
            Cause::new(CauseName::Alone, text, next)
        });
    }
    let (active, silent): (Vec<_>, Vec<_>) = voters(status).partition(|voter| voter.active);
    if active.len() >= quorum {
        return None;
    }
    let missing: Vec<String> = silent.iter().map(|voter| silence(voter)).collect();
    let places: Vec<&str> = silent.iter().map(|voter| voter.address.as_str()).collect();
    Some(Cause::new(
        CauseName::VotersMissing,
        format!(
            "{} of {n} voters are active, {quorum} are needed; missing: {}",
            active.len(),
            missing.join(", ")
        ),
        format!("start them; where they run, see that this machine reaches {}", places.join(", ")),
    ))
}

fn silence(voter: &MemberStatus) -> String {
    match voter.silent_for {
        Some(silent) => format!("{} (silent for {})", voter.name, about(silent)),
        None => format!("{} (never heard)", voter.name),
    }
}

fn voters(status: &Status) -> impl Iterator<Item = &MemberStatus> {
    status.members.iter().filter(|member| member.voter)
}

fn other_manifests(status: &Status) -> Option<Cause> {
    let others = refused(status, |why| matches!(why, Refusal::OtherElectorate(_)));
    let text = format!("{} has another electorate than this node", others.clone()?);
    let next = match status.electorate.is_open() {
        true => "wait: lists of an open cluster become equal as soon as its nodes see each other".into(),
        false => format!(
            "compare `nitro-elect manifest digest` of both (this node's is {}); while the voters change, restart the nodes \
             that have not moved yet with the new manifest",
            status.digest.to_string().get(..16).unwrap_or_default()
        ),
    };
    others.map(|_| Cause::new(CauseName::OtherManifest, text, next))
}

/// Wall clocks that are far from the cluster's: this node's own, or else a voter's.
fn clocks(status: &Status) -> Vec<Cause> {
    let next = "set it, and keep it right with chrony or another NTP client";
    let is_off = |ms: i64| u128::from(ms.unsigned_abs()) > CLOCK_OFF.as_millis();
    let tell = |whose: &str, ms: i64| {
        let way = if ms < 0 { "behind" } else { "ahead of" };
        let off = about(Duration::from_millis(ms.unsigned_abs()));
        let text = format!("the wall clock of {whose} is {off} {way} the voters' median");
        Cause::new(CauseName::ClockOff, text, next)
    };
    let own = Some(status.clock_offset_ms).filter(|ms| is_off(*ms)).map(|ms| tell("this node", ms));
    let others = voters(status).filter(|voter| voter.active && voter.id != status.id);
    let others =
        others.filter_map(|voter| Some((&voter.name, voter.clock_offset_ms.filter(|ms| is_off(*ms))?)));
    own.into_iter().chain(others.map(|(name, ms)| tell(name, ms))).collect()
}

/// No enclave of this voter's can be called upon, as far as it knows: it asks each every 10 s.
pub fn enclaves(status: &Status) -> Vec<Cause> {
    let usable = |enclave: &EnclaveStatus| enclave.verified.is_some() && enclave.error.is_none();
    if !status.voter || status.enclaves.iter().any(usable) {
        return Vec::new();
    }
    status.enclaves.iter().map(enclave).collect()
}

fn enclave(enclave: &EnclaveStatus) -> Cause {
    let unanswered = Unanswered.to_string();
    match enclave.error.as_ref().filter(|error| **error != unanswered) {
        Some(why) => Cause::new(
            CauseName::EnclaveRefused,
            format!("no enclave is reachable and accepted: the one at {} is refused: {why}", enclave.place),
            "compare its measurements and root with the manifest's trust section (`nitro-elect attestation verify`), \
             and this machine's clock with the enclave's; a simulated enclave keeps its root only with --pki",
        ),
        None => {
            let why = enclave.silent_because.as_deref().unwrap_or(match enclave.error {
                Some(_) => "it does not answer",
                None => "it has not answered yet",
            });
            Cause::new(
                CauseName::EnclaveUnreachable,
                format!("no enclave is reachable and accepted: {} at {}", why, enclave.place),
                format!(
                    "start the enclave and its proxy at {}, or name another with --enclave",
                    enclave.place
                ),
            )
        }
    }
}

fn nobody_eligible(status: &Status) -> Option<Cause> {
    let active: Vec<&MemberStatus> = voters(status).filter(|voter| voter.active).collect();
    if active.is_empty() || active.iter().any(|voter| voter.eligible) {
        return None;
    }
    let why = |voter: &&MemberStatus| {
        let flags = voter.flags;
        let because = match (flags.draining, flags.unhealthy, flags.stepped_down) {
            (true, ..) => "drained",
            (_, true, _) => "unhealthy",
            (.., true) => "stepped down a moment ago",
            _ => "not ready to lead",
        };
        format!("{} ({because})", voter.name)
    };
    let each: Vec<String> = active.iter().map(why).collect();
    Some(Cause::new(
        CauseName::NobodyEligible,
        format!("no active voter would lead: {}", each.join(", ")),
        "`nitro-elect undrain` one of them, or mend what its health check found",
    ))
}

/// Voters that answered the last call, and could not or would not sign for more than a while.
fn refusing_voters(status: &Status) -> Vec<Cause> {
    let not_signing = refused(status, |why| *why == Refusal::NotSigning).map(|names| {
        Cause::new(
            CauseName::VoterNotSigning,
            format!("{names} cannot sign now: its state is not safe"),
            "see `nitro-elect status` there: its disk is full or its votes are lost",
        )
    });
    let not_accepting = refused(status, |why| matches!(why, Refusal::Enclave { .. })).map(|names| {
        Cause::new(
            CauseName::EnclaveRefused,
            format!("{names} does not accept the enclave that this node called upon"),
            "compare the clocks of both machines; the log of this node has the number of the check that failed \
             (docs/ATTESTATION.md)",
        )
    });
    not_signing.into_iter().chain(not_accepting).collect()
}

/// What only time mends.
fn waits(status: &Status) -> Vec<Cause> {
    let mut causes = Vec::new();
    let promise = status.promise.as_ref();
    if let Some(left) = status.hold_at_start.filter(|_| promise.is_some()) {
        causes.push(Cause::new(
            CauseName::HoldAfterStart,
            format!("this node restarted, and holds to its earlier promise for {} more", about(left)),
            format!("wait {}: a promise outlives a restart, so that nobody votes twice", about(left)),
        ));
    } else if let Some(promise) = promise {
        causes.push(Cause::new(
            CauseName::Promised,
            format!("this node's promise to {} runs for {} more", promise.holder, about(promise.left)),
            format!("wait {}", about(promise.left)),
        ));
    }
    let promised = told(status, |why| matches!(why, Refusal::Promised { .. }));
    if let Some((names, left)) = promised.filter(|_| causes.is_empty()) {
        let text = format!("{names} has promised another node for {} more", about(left));
        causes.push(Cause::new(CauseName::Promised, text, format!("wait {}", about(left))));
    }
    let own = status.back_off.map(|left| ("this node".to_owned(), left));
    if let Some((names, left)) = own.or_else(|| told(status, |why| matches!(why, Refusal::BackOff { .. }))) {
        causes.push(Cause::new(
            CauseName::BackOff,
            format!(
                "{names} signs nothing for this node for {} more: its last calls elected nobody",
                about(left)
            ),
            format!("wait {}; if it comes again, the log says what its elections fail of", about(left)),
        ));
    }
    causes
}

/// The last election got as far as the enclave, and no further.
fn failed_election(status: &Status) -> Option<Cause> {
    match &status.last_failure.as_ref()?.why {
        CallFailure::Enclave(why) => Some(Cause::new(
            CauseName::ElectionFailed,
            format!("the enclave gave no certificate in the last election: {why}"),
            "wait for the next try; if it comes again, restart the enclave, or name another with --enclave",
        )),
        _ => None,
    }
}

fn under_way(status: &Status) -> Cause {
    let failed =
        status.last_failure.as_ref().map(|failure| format!("; the last try failed: {}", failure.why));
    let text = match status.calls_in.filter(|wait| !wait.is_zero()) {
        Some(wait) => format!("this node calls the next election in {}", about(wait)),
        None => "an election is due or under way".into(),
    };
    let next = "wait a moment: an election takes a few tenths of a lease";
    Cause::new(CauseName::ElectionUnderWay, text + &failed.unwrap_or_default(), next)
}

/// The names of the voters that refused the last call for this kind of reason.
fn refused(status: &Status, is_it: impl Fn(&Refusal) -> bool) -> Option<String> {
    let names: Vec<String> =
        refusals(status).filter(|(_, why)| is_it(why)).map(|(node, _)| name(status, node)).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// The voters that told to wait, for this kind of reason, and what is left of the shortest wait among them.
fn told(status: &Status, is_it: impl Fn(&Refusal) -> bool) -> Option<(String, Duration)> {
    let ago = status.last_failure.as_ref()?.ago;
    let left = |why: &Refusal| match why {
        Refusal::Promised { ms } | Refusal::BackOff { ms } => Duration::from_millis(*ms).saturating_sub(ago),
        _ => Duration::ZERO,
    };
    let waits = refusals(status).filter(|(_, why)| is_it(why) && !left(why).is_zero());
    let waits: Vec<_> = waits.map(|(node, why)| (name(status, node), left(why))).collect();
    let shortest = waits.iter().map(|(_, left)| *left).min()?;
    let names: Vec<String> = waits.into_iter().map(|(name, _)| name).collect();
    Some((names.join(" and "), shortest))
}

fn refusals(status: &Status) -> impl Iterator<Item = &(NodeId, Refusal)> {
    let why = status.last_failure.as_ref().map(|failure| &failure.why);
    let list = match why {
        Some(CallFailure::PreVote { refusals, .. } | CallFailure::Views { refusals, .. }) => {
            refusals.as_slice()
        }
        _ => &[],
    };
    list.iter().filter(|(node, _)| *node != status.id)
}

fn name(status: &Status, node: &NodeId) -> String {
    let member = status.members.iter().find(|member| member.id == *node);
    member.map(|member| member.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(|| node.short())
}
