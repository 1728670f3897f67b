//! What a demo shows, as values: one line of JSON each, or as many for people as it takes.

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::ids::Term;
use serde::Serialize;

/// One thing shown.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Scene {
    /// It begins.
    Begins {
        /// Nodes.
        n: usize,
        /// Byzantine nodes tolerated.
        f: usize,
        /// Nodes that an election takes.
        quorum: usize,
        /// What the enclave is worth.
        assurance: Assurance,
        /// Where everything is, until the end.
        directory: String,
    },
    /// The enclave serves.
    Enclave {
        /// Where.
        endpoint: String,
    },
    /// The proxy serves.
    Proxy {
        /// Where.
        endpoint: String,
        /// How many keys it admits.
        admits: usize,
    },
    /// The nodes run.
    Nodes {
        /// Each of them.
        nodes: Vec<Place>,
    },
    /// Who sees whom.
    Sight {
        /// Each node with those it sees.
        sight: Vec<Sight>,
    },
    /// A leader that all living nodes agree on.
    Elected {
        /// The leader.
        leader: String,
        /// Its term.
        term: Term,
        /// Nodes that agree.
        agree: usize,
        /// How long it took.
        took_ms: u64,
        /// Since what.
        since: &'static str,
    },
    /// A certificate, verified from files.
    Proof {
        /// The node that served it.
        from: String,
        /// Whether everything holds.
        valid: bool,
        /// What it is worth, if it is valid.
        assurance: Option<Assurance>,
        /// Whom it names.
        leader: String,
        /// The term it is for.
        term: Term,
        /// Every check.
        checks: Vec<Check>,
        /// Whether people want to see every check again.
        #[serde(skip)]
        in_full: bool,
    },
    /// A node was killed; its supervisor lives, and sends the node's last will.
    Killed {
        /// The node.
        node: String,
        /// The node's own process.
        process: u32,
    },
    /// A node was started again.
    StartedAgain {
        /// The node.
        node: String,
        /// Its process.
        process: u32,
    },
    /// A node that was started again is one of the cluster again.
    Returned {
        /// The node.
        node: String,
        /// Whom it follows.
        leader: String,
        /// In which term.
        term: Term,
        /// How long that took.
        took_ms: u64,
    },
    /// From here on it just runs.
    GoesOn {
        /// Each node.
        nodes: Vec<Place>,
    },
    /// A process ended, by somebody else's hand.
    Ended {
        /// The process.
        name: String,
        /// How.
        how: String,
    },
    /// Another leader, or another term.
    Leads {
        /// The leader.
        leader: String,
        /// Its term.
        term: Term,
        /// How long nobody led before, if it was seen.
        after_ms: Option<u64>,
    },
    /// Nobody leads.
    NobodyLeads {
        /// Why, as a living node says.
        because: String,
    },
    /// A node is seen alive again, or no more.
    Sees {
        /// The node.
        node: String,
        /// Whether it is seen alive.
        alive: bool,
    },
    /// The end.
    Done {
        /// How long it took.
        took_ms: u64,
    },
    /// It did not go as it must.
    Failed {
        /// What was wrong.
        why: String,
    },
}

/// Where a node is.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Its name.
    pub node: String,
    /// Its address for nodes.
    pub address: String,
    /// Its address for people.
    pub admin: String,
    /// The process that was started: the supervisor, whose one child is the node.
    pub process: u32,
}

/// What one node sees.
#[derive(Clone, Debug, Serialize)]
pub struct Sight {
    /// The node.
    pub node: String,
    /// The others that it sees alive.
    pub sees: Vec<String>,
}

/// One check of a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its number.
    pub number: String,
    /// What it establishes.
    pub title: &'static str,
    /// Whether it passed; none if it has nothing to look at here.
    pub passed: Option<bool>,
    /// What was found.
    pub found: String,
}
