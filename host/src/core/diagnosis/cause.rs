//! A cause: its name for programs, and its sentences for people.

use serde::{Deserialize, Serialize};

/// What kind of cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseName {
    /// The node does not answer its own questions.
    NodeHeldUp,
    /// It must not go on under its key.
    Halted,
    /// What it voted for is lost.
    VotesLost,
    /// Its state cannot be written.
    StateNotWritten,
    /// An open cluster's node sees nobody else.
    Alone,
    /// Fewer voters than a quorum are alive.
    VotersMissing,
    /// A voter has another manifest.
    OtherManifest,
    /// A wall clock is wrong.
    ClockOff,
    /// No enclave answers.
    EnclaveUnreachable,
    /// The enclave that answers is not accepted, here or by a voter.
    EnclaveRefused,
    /// No active voter would lead.
    NobodyEligible,
    /// A voter can sign nothing.
    VoterNotSigning,
    /// This node restarted and waits for its earlier promise to end.
    HoldAfterStart,
    /// A promise to somebody runs on.
    Promised,
    /// Calls without a leader to show for them have to wait.
    BackOff,
    /// The last election failed.
    ElectionFailed,
    /// An election is due or under way.
    ElectionUnderWay,
    /// A name of a later version.
    #[serde(other)]
    Unknown,
}

impl CauseName {
    /// All of this version.
    pub const ALL: [CauseName; 17] = [
        CauseName::NodeHeldUp,
        CauseName::Halted,
        CauseName::VotesLost,
        CauseName::StateNotWritten,
        CauseName::Alone,
        CauseName::VotersMissing,
        CauseName::OtherManifest,
        CauseName::ClockOff,
        CauseName::EnclaveUnreachable,
        CauseName::EnclaveRefused,
        CauseName::NobodyEligible,
        CauseName::VoterNotSigning,
        CauseName::HoldAfterStart,
        CauseName::Promised,
        CauseName::BackOff,
        CauseName::ElectionFailed,
        CauseName::ElectionUnderWay,
    ];

    /// The name that programs know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            CauseName::NodeHeldUp => "node_held_up",
            CauseName::Halted => "halted",
            CauseName::VotesLost => "votes_lost",
            CauseName::StateNotWritten => "state_not_written",
            CauseName::Alone => "alone",
            CauseName::VotersMissing => "voters_missing",
            CauseName::OtherManifest => "other_manifest",
            CauseName::ClockOff => "clock_off",
            CauseName::EnclaveUnreachable => "enclave_unreachable",
            CauseName::EnclaveRefused => "enclave_refused",
            CauseName::NobodyEligible => "nobody_eligible",
            CauseName::VoterNotSigning => "voter_not_signing",
            CauseName::HoldAfterStart => "hold_after_start",
            CauseName::Promised => "promised",
            CauseName::BackOff => "back_off",
            CauseName::ElectionFailed => "election_failed",
            CauseName::ElectionUnderWay => "election_under_way",
            CauseName::Unknown => "unknown",
        }
    }
}

/// One reason why nobody leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// For programs.
    pub name: CauseName,
    /// What is so, with names and numbers.
    pub text: String,
    /// What to do about it.
    pub next: String,
}

impl Cause {
    /// A cause with its sentences.
    pub fn new(name: CauseName, text: impl Into<String>, next: impl Into<String>) -> Self {
        Cause { name, text: text.into(), next: next.into() }
    }
}
