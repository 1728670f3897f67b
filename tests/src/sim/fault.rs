//! The kinds of faults, their weights in a scenario, and how often each struck.

use std::fmt;

use super::dice::Dice;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Something that goes wrong, or that somebody does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            fn text(self) -> &'static str {
                match self { $(Fault::$name => $text,)* }
            }
        }
    };
}

faults! {
    /// A process ends at once, and starts again later.
    Crash = "crashes",
    /// A process ends in the midst of a write.
    CrashInWrite = "crashes in a write",
    /// The last write of a process that crashed did not reach the disk.
    LostWrite = "writes lost in a crash",
    /// A machine goes down with its clock, and comes up again.
    Reboot = "reboots",
    /// The supervisor of a crashed process sends its last will.
    LastWill = "last wills",
    /// A last will came once more, later.
    WillReplayed = "last wills replayed",
    /// A process that ended left leader-only commands, for a while.
    CommandLeft = "commands left behind",
    /// A process that ended left a command that nobody can end.
    CommandStuck = "commands that do not end",
    /// A process that ended left a runner beside it at work.
    RunnerLeft = "runners left behind",
    /// A leader-only command was started.
    Work = "commands started",
    /// A runner of leader-only work stands still for a while.
    RunnerFrozen = "runners frozen",
    /// An exec stands still for a while, its runner not.
    ExecFrozen = "execs frozen",
    /// An exec is killed.
    ExecKilled = "execs killed",
    /// A process does not run for a while, and then goes on.
    Pause = "pauses",
    /// A connection breaks.
    Break = "broken connections",
    /// The machines fall apart into two groups.
    Partition = "partitions",
    /// One direction between two machines loses everything.
    OneWay = "one-way links",
    /// One machine's messages take long.
    Slow = "slow machines",
    /// A message was lost.
    Loss = "messages lost",
    /// A message came twice.
    Double = "messages doubled",
    /// A message came very late.
    Late = "messages late",
    /// An enclave starts anew, with new keys and no memory.
    EnclaveRestart = "enclave restarts",
    /// An enclave is gone for a while.
    EnclaveDown = "enclaves down",
    /// An enclave ends in the midst of an election.
    EnclaveStruck = "enclaves ended in an election",
    /// An enclave was started a second time with the same keys.
    EnclaveClone = "enclaves cloned",
    /// A proxy is gone for a while.
    ProxyDown = "proxies down",
    /// An enclave's answer was lost.
    AnswerLost = "enclave answers lost",
    /// A write failed.
    DiskFailure = "failed writes",
    /// A wall clock jumps.
    WallJump = "wall clock jumps",
    /// An operator has the leader step down.
    StepDown = "step-downs",
    /// An operator drains a node, and takes it back later.
    Drain = "drains",
    /// A node says that it is unhealthy, for a while.
    Unhealthy = "unhealthy spells",
    /// A verifier asks for a lease proof.
    Prove = "nonces asked",
    /// A tick came late.
    TickLate = "ticks late",
    /// A tick came twice.
    TickDouble = "ticks doubled",
    /// A tick did not come.
    TickDropped = "ticks dropped",
    /// A Byzantine voter signed what is not so, or what it must not.
    Perjury = "lies signed",
    /// A Byzantine voter held back what it owed.
    Withheld = "messages withheld",
    /// A Byzantine voter called one term with several enclaves.
    ForkedCall = "forked calls",
    /// A Byzantine voter called a single voter and resigned at once.
    SpamCall = "calls resigned at once",
    /// A Byzantine voter called once more in an attack on liveness that it keeps up.
    PlottedCall = "calls in plots",
    /// A Byzantine voter resigned from what it likes.
    FalseResign = "resignations at will",
    /// A Byzantine voter had an enclave count views on its own.
    PrivateTally = "private tallies",
    /// A Byzantine voter sent again what somebody else had sent.
    Replay = "replays",
    /// A Byzantine voter made up a statement of somebody else.
    Forgery = "forgeries",
    /// A hostile proxy did not pass on an election, or its answer.
    ProxyDropped = "elections dropped by proxies",
    /// A hostile proxy submitted an old election again.
    ProxyReplayed = "elections replayed by proxies",
    /// A hostile proxy let a question wait.
    ProxyDelayed = "questions delayed by proxies",
}

/// The faults that a storm draws from; the others come with them, or with each message.
pub const DRAWN: [(Fault, u64); 19] = [
    (Fault::Crash, 12),
    (Fault::Reboot, 3),
    (Fault::Pause, 8),
    (Fault::Break, 10),
    (Fault::Partition, 8),
    (Fault::OneWay, 6),
    (Fault::Slow, 4),
    (Fault::EnclaveRestart, 6),
    (Fault::EnclaveDown, 4),
    (Fault::ProxyDown, 4),
    (Fault::DiskFailure, 2),
    (Fault::WallJump, 2),
    (Fault::StepDown, 8),
    (Fault::Drain, 3),
    (Fault::Unhealthy, 3),
    (Fault::Prove, 4),
    (Fault::EnclaveStruck, 4),
    (Fault::EnclaveClone, 1),
    (Fault::CrashInWrite, 6),
];

/// How likely each fault is in one scenario.
#[derive(Clone, Debug)]
pub struct Weights(Vec<(Fault, u64)>);

impl Weights {
    /// A mixture of its own: some faults rage, some are absent.
    pub fn draw(dice: &mut Dice) -> Self {
        Weights(DRAWN.iter().map(|(fault, weight)| (*fault, weight * *dice.pick(&[0, 1, 1, 4]))).collect())
    }

    /// These faults alone.
    pub fn only(faults: &[(Fault, u64)]) -> Self {
        Weights(faults.to_vec())
    }

    /// The next fault, or none if every weight is zero.
    pub fn next(&self, dice: &mut Dice) -> Option<Fault> {
        let total = self.0.iter().map(|(_, weight)| weight).sum();
        let mut at = dice.below(total);
        let chosen = self.0.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        chosen.map(|(fault, _)| *fault)
    }
}

/// How often each fault struck.
#[derive(Clone, Debug)]
pub struct Tally([u64; Fault::ALL.len()]);

impl Default for Tally {
    fn default() -> Self {
        Tally([0; Fault::ALL.len()])
    }
}

impl Tally {
    /// Counts one.
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Adds up.
    pub fn add(&mut self, other: &Tally) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }

    /// How often this one struck.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let struck: Vec<String> = Fault::ALL
            .iter()
            .filter(|fault| self.of(**fault) > 0)
            .map(|fault| format!("{} {}", self.of(*fault), fault.text()))
            .collect();
        out.write_str(&struck.join(", "))
    }
}
