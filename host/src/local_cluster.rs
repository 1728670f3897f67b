//! A ready-to-run cluster on one machine: a directory with the manifest and a state directory for each node.
//!
//! Everything is made beside its place first and moved there at the end; whatever fails, nothing that was made is
//! left, parents included.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::electorate::Voter;

use crate::help::Help;
use crate::keys::{self, KeyError};
use crate::manifest::{MANIFEST_FILE, Manifest, WEIGHT_DEFAULT, WriteError};
use crate::storage::{BirthError, atomic, give_birth};

/// A node of the cluster to make.
pub struct LocalNode {
    /// Its name, which is also that of its state directory.
    pub name: String,
    /// Its new key.
    pub key: NodeKey,
    /// Where it will listen.
    pub address: String,
}

/// Why there is no cluster. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
pub enum LocalClusterError {
    /// Ports run out.
    #[error("{count} nodes from port {base} on need ports up to {}, the last is 65535", u32::from(*base) + count - 1)]
    Ports {
        /// The nodes.
        count: u32,
        /// The first port.
        base: u16,
    },
    /// There is something already.
    #[error("{dir} is not empty; nothing in it was touched")]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused.
    #[error("could not make {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A node could not be made.
    #[error(transparent)]
    Birth(#[from] BirthError),
    /// The manifest could not be written.
    #[error(transparent)]
    Manifest(#[from] WriteError),
}

impl Help for LocalClusterError {
    fn help(&self) -> String {
        match self {
            LocalClusterError::Ports { .. } => "choose a lower --base-port".into(),
            LocalClusterError::NotEmpty { .. } => "name a new directory, or an empty one".into(),
            LocalClusterError::Io { .. } => "check the path, its permissions and the disk".into(),
            LocalClusterError::Key(error) => error.help(),
            LocalClusterError::Birth(error) => error.help(),
            LocalClusterError::Manifest(error) => error.help(),
        }
    }
}

/// Draws the keys of new nodes: `node-1` on `base`, and so on upwards, on loopback.
pub fn draw_nodes(count: u32, base: u16) -> Result<Vec<LocalNode>, LocalClusterError> {
    let node = |index: u32| {
        let port =
            u16::try_from(u32::from(base) + index).map_err(|_| LocalClusterError::Ports { count, base })?;
        let (name, address) = (format!("node-{}", index + 1), format!("127.0.0.1:{port}"));
        Ok(LocalNode { name, key: keys::generate()?, address })
    };
    (0..count).map(node).collect()
}

impl LocalNode {
    /// The node as a manifest names it.
    pub fn voter(&self) -> Voter {
        let (name, address) = (self.name.clone(), self.address.clone());
        Voter { key: self.key.id(), name, address, weight: WEIGHT_DEFAULT }
    }
}

/// Writes the cluster into a directory that is new or empty; its parents are made.
pub fn write(dir: &Path, manifest: &Manifest, nodes: &[LocalNode]) -> Result<(), LocalClusterError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| LocalClusterError::Io { path, source }
    };
    let mut made = Made::default();
    made.directories(dir).map_err(failed(dir))?;
    if fs::read_dir(dir).map_err(failed(dir))?.next().is_some() {
        return Err(LocalClusterError::NotEmpty { dir: dir.into() });
    }
    let stage = tempfile::Builder::new().prefix(".init-").tempdir_in(dir).map_err(failed(dir))?;
    for node in nodes {
        give_birth(&stage.path().join(&node.name), &node.key)?;
    }
    manifest.save(&stage.path().join(MANIFEST_FILE))?;
    move_out(&stage, dir, &mut made).map_err(failed(dir))?;
    drop(stage);
    atomic::sync_directory(dir).map_err(failed(dir))?;
    made.keep();
    Ok(())
}

fn move_out(stage: &TempDir, dir: &Path, made: &mut Made) -> io::Result<()> {
    for entry in fs::read_dir(stage.path())? {
        let entry = entry?;
        let place = dir.join(entry.file_name());
        fs::rename(entry.path(), &place)?;
        made.paths.push(place);
    }
    Ok(())
}

/// What was made, removed again when dropped before it was all.
#[derive(Debug, Default)]
struct Made {
    /// In the order in which it was made.
    paths: Vec<PathBuf>,
}

impl Made {
    /// Makes a directory and its missing parents.
    fn directories(&mut self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(path)?;
            self.paths.push(path.into());
        }
        Ok(())
    }

    fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.paths.iter().rev() {
            // There is nobody to tell but the reader of the first error.
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}
