//! The socket in a node's state directory.
//!
//! Its path may be longer than a socket's name can be (107 bytes), so it is named through the open directory. The
//! directory is its owner's alone, and so is the socket; whoever connects is asked for its user besides.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

use crate::help::Help;

/// The socket's name.
pub const SOCKET: &str = "exec.sock";

/// Why nobody can be talked to.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The directory cannot be used.
    #[error("the state directory {dir}: {source}")]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody listens.
    #[error("no node runs with the state directory {0}")]
    NoNode(PathBuf),
    /// Another user is at the other end.
    #[error("{} in {dir} is user {user}'s, and neither root's nor this user's", SOCKET)]
    OtherUser {
        /// The directory.
        dir: PathBuf,
        /// The user's number.
        user: u32,
    },
    /// The system refused.
    #[error("the socket {} in {dir}: {source}", SOCKET)]
    Socket {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Help for PlaceError {
    fn help(&self) -> String {
        match self {
            PlaceError::Directory { .. } => {
                "name the node's state directory with --state, as its user".into()
            }
            PlaceError::NoNode(dir) => {
                format!(
                    "start it: nitro-elect node --state {} ...; `nitro-elect status` tells how it does",
                    dir.display()
                )
            }
            PlaceError::OtherUser { .. } => "run exec as the node's user".into(),
            PlaceError::Socket { .. } => "run exec as the node's user, on the node's machine".into(),
        }
    }
}

/// A socket that is listened at. Dropping it removes its file.
#[derive(Debug)]
pub struct Place {
    /// Where connections arrive.
    pub listener: UnixListener,
    path: PathBuf,
}

impl Place {
    /// Listens in a state directory that this process has locked: a socket that is there is one that was left behind.
    pub fn listen(dir: &Path) -> Result<Place, PlaceError> {
        let opened = open(dir)?;
        let failed = |source| PlaceError::Socket { dir: dir.into(), source };
        let through = through(&opened);
        match fs::remove_file(&through) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&through).map_err(failed)?;
        fs::set_permissions(&through, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Place { listener, path: dir.join(SOCKET) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.path);
    }
}

/// Connects to the node that runs with this state directory.
pub async fn connect(dir: &Path) -> Result<UnixStream, PlaceError> {
    let opened = open(dir)?;
    let stream = UnixStream::connect(through(&opened)).await.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => PlaceError::NoNode(dir.into()),
        _ => PlaceError::Socket { dir: dir.into(), source },
    })?;
    match stranger(&stream).map_err(|source| PlaceError::Socket { dir: dir.into(), source })? {
        Some(user) => Err(PlaceError::OtherUser { dir: dir.into(), user }),
        None => Ok(stream),
    }
}

/// The user at the other end, if that is neither root nor this process's.
pub fn stranger(stream: &UnixStream) -> io::Result<Option<u32>> {
    let user = stream.peer_cred()?.uid();
    // SAFETY: geteuid takes nothing and cannot fail.
    let own = unsafe { libc::geteuid() };
    Ok((user != 0 && user != own).then_some(user))
}

fn open(dir: &Path) -> Result<File, PlaceError> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(dir);
    opened.map_err(|source| PlaceError::Directory { dir: dir.into(), source })
}

fn through(dir: &File) -> PathBuf {
    format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_of_any_length_can_be_listened_at_and_a_socket_left_behind_is_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("d".repeat(120));
        fs::create_dir(&dir).unwrap();
        assert!(matches!(connect(&dir).await, Err(PlaceError::NoNode(_))));
        let place = Place::listen(&dir).unwrap();
        let mode = fs::metadata(dir.join(SOCKET)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let (connected, accepted) = tokio::join!(connect(&dir), place.listener.accept());
        assert_eq!(stranger(&connected.unwrap()).unwrap(), None);
        assert_eq!(stranger(&accepted.unwrap().0).unwrap(), None);
        drop(place);
        assert!(!dir.join(SOCKET).exists());
        let left_behind = std::os::unix::net::UnixListener::bind(through(&open(&dir).unwrap())).unwrap();
        drop(left_behind);
        assert!(dir.join(SOCKET).exists());
        assert!(matches!(connect(&dir).await, Err(PlaceError::NoNode(_))));
        Place::listen(&dir).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_directory_is_named() {
        let error = connect(Path::new("/no/such/state")).await.unwrap_err();
        assert!(error.to_string().contains("/no/such/state") && error.help().contains("--state"));
    }
}
