//! What an exec is to do, and why it may be unable to.

use std::ffi::OsString;
use std::path::PathBuf;

use super::place::PlaceError;
use crate::fence::Stale;
use crate::help::Help;
use crate::run::owner::NoRunner;
use crate::run::rules::Settings;
use crate::verify::{Accept, Authority};
use nitro_elect_protocol::ids::NodeId;

/// What an exec is to do.
#[derive(Debug)]
pub struct ExecConfig {
    /// The node's state directory.
    pub state: PathBuf,
    /// The key of the node that must lead.
    pub node: NodeId,
    /// Whose proofs count.
    pub authority: Authority,
    /// What is enough beside an attested enclave.
    pub accept: Accept,
    /// The command.
    pub command: Vec<OsString>,
    /// How it is ended.
    pub settings: Settings,
    /// Whether the node is to hand over when the command has ended by itself.
    pub resign_on_exit: bool,
}

/// Why an exec ended without its command having done so.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The node cannot be talked to.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The node does not let it in.
    #[error("the node refuses this exec: {0}")]
    Refused(String),
    /// What listens there is no node, or one of another version.
    #[error("what listens in {0} is no node of this version")]
    NotANode(PathBuf),
    /// Another node runs there.
    #[error("the node that runs there has key {found}, expected {expected}")]
    OtherNode {
        /// Its key.
        found: String,
        /// The key given.
        expected: NodeId,
    },
    /// A proof that will not become better by waiting.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// No runner.
    #[error(transparent)]
    Runner(#[from] NoRunner),
}

impl Help for ExecError {
    fn help(&self) -> String {
        match self {
            ExecError::Place(error) => error.help(),
            ExecError::Refused(_) => "end another exec beside this node, or use one program for both".into(),
            ExecError::NotANode(_) => "use the same program as the node's, and its state directory".into(),
            ExecError::OtherNode { .. } => "name that node's state directory, or its key with --node".into(),
            ExecError::Stale(error) => error.help(),
            ExecError::Runner(error) => error.help(),
        }
    }
}
