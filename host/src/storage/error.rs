//! Why a state directory cannot be used, and what its operator should do.

use std::io;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::ids::{ClusterId, NodeId};

use super::checked::{FileFault, ReadFault};
use super::log::LogError;
use super::record::RecordError;
use crate::help::Help;

/// Why the state of a node was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such directory.
    #[error("there is no state directory {dir}")]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// It is something else.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Others could exchange the files in it.
    #[error("others can write into the state directory {dir} (its mode is {mode:04o}, not 0700)")]
    Exposed {
        /// The directory.
        dir: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process uses it.
    #[error(
        "the state directory {dir} is in use by another process{}",
        pid.map(|pid| format!(" (number {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process, if it is known.
        pid: Option<u32>,
    },
    /// The key is there, its state is not: a disk that was lost, or a key that was copied.
    #[error("the key {node} has no state beside it in {dir}: what it promised before is lost")]
    Lost {
        /// The directory.
        dir: PathBuf,
        /// The node.
        node: NodeId,
    },
    /// The state of another node.
    #[error("the state in {dir} is that of node {found}, the key is that of {key}")]
    OtherKey {
        /// The directory.
        dir: PathBuf,
        /// The node of the record.
        found: NodeId,
        /// The node of the key.
        key: NodeId,
    },
    /// The state of another cluster: what was promised there counts there.
    #[error("the state in {dir} belongs to {}, not to {}", cluster_name(found), cluster_name(expected))]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// The cluster of the record.
        found: ClusterId,
        /// The cluster to run in.
        expected: ClusterId,
    },
    /// The record was changed or cut after it was written.
    #[error("the state record {path} is damaged: {fault}")]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        fault: RecordError,
    },
    /// Another small file of the state was changed or cut after it was written.
    #[error("{path} is damaged: {fault}")]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// Another command signs about a change of voters.
    #[error("another command endorses or approves with the state directory {dir} just now")]
    ChangesLocked {
        /// The directory.
        dir: PathBuf,
    },
    /// The log of certificates cannot be used.
    #[error("certificate log: {0}")]
    Log(#[from] LogError),
    /// The system refused.
    #[error("could not use {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl StorageError {
    /// A small file that was not read.
    pub(super) fn of(path: &Path, fault: ReadFault) -> Self {
        match fault {
            ReadFault::Io(source) => StorageError::Io { path: path.into(), source },
            ReadFault::Damaged(fault) => StorageError::DamagedFile { path: path.into(), fault },
        }
    }
}

fn cluster_name(cluster: &ClusterId) -> String {
    if cluster.is_open() { "an open cluster".into() } else { format!("cluster {cluster}") }
}

const REKEY: &str = "give the node a new key (`nitro-elect keygen` in a new directory, then a new manifest), \
     or, knowing that it then counts as one of the f faulty voters, start it with --danger-forget-votes";

impl Help for StorageError {
    fn help(&self) -> String {
        match self {
            StorageError::NoDirectory { dir } => {
                format!("make it with `nitro-elect keygen --state {}`, or name the right one", dir.display())
            }
            StorageError::NotADirectory { .. } => "name the state directory, not a file in it".into(),
            StorageError::Exposed { dir, .. } => format!("run `chmod 700 {}`", dir.display()),
            StorageError::Locked { .. } => {
                "stop that process first; one process runs with a key, never two".into()
            }
            StorageError::Lost { .. } => format!("bring the directory back whole; if it is gone, {REKEY}"),
            StorageError::OtherKey { .. } => {
                "put each key back beside its own state; never copy either".into()
            }
            StorageError::OtherCluster { .. } => {
                "use that cluster's manifest, or a new state directory with a new key for this cluster".into()
            }
            StorageError::Damaged { fault: RecordError::File(FileFault::Version(_)), .. }
            | StorageError::DamagedFile { fault: FileFault::Version(_), .. } => {
                "run the version of nitro-elect that wrote it, or a later one".into()
            }
            StorageError::Damaged { path, .. } => format!(
                "check the disk; there is no repair, because a wrong guess can elect two leaders. Move {} away, and {REKEY}",
                path.display()
            ),
            StorageError::DamagedFile { path, .. } => format!(
                "check the disk; there is no repair, because a wrong guess can let two sets of voters elect. The other voters \
                 can go on without this one, and replace it: `nitro-elect manifest replace`. Keep {} as it is",
                path.display()
            ),
            StorageError::ChangesLocked { .. } => "wait for it to end, then try again".into(),
            StorageError::Log(error) => error.help(),
            StorageError::Io { .. } => "check the path, its permissions and the disk".into(),
        }
    }
}

impl Help for LogError {
    fn help(&self) -> String {
        match self {
            LogError::Io { .. } => "check the path, its permissions and the disk".into(),
            LogError::Oversized(_) => "report it: no certificate that was verified is that large".into(),
            LogError::NotALog { path }
            | LogError::TooLarge { path, .. }
            | LogError::Damaged { path, .. }
            | LogError::Contents { path, .. } => format!(
                "check the disk, then move {} away: the node's votes are not in it, and the other nodes have its \
                 certificates",
                path.display()
            ),
        }
    }
}
