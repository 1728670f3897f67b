//! A cgroup (version 2) for all that a command starts, where this process may make one: killed with one stroke, and
//! seen empty by the kernel's word.
//!
//! It is made below this process's own, so nobody needs to set anything up but the right to write there: root has it,
//! and a systemd service with `Delegate=yes`. Without it, the process group and the subreaper do the same by hand.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the names of these cgroups begin with; the runner's process number follows.
const PREFIX: &str = "nitro-elect-";

/// A cgroup of this process's own. Dropping it removes it, if it is empty.
#[derive(Debug)]
pub struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Makes one below this process's, if that can be written and killed at once (Linux 5.14).
    pub fn make() -> Option<Cgroup> {
        let own = own_directory()?;
        sweep(&own);
        let dir = own.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        let made = Cgroup { dir };
        let can_kill = made.dir.join("cgroup.kill").exists() && made.dir.join("cgroup.procs").exists();
        can_kill.then_some(made)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The file through which a process enters.
    pub fn entrance(&self) -> io::Result<CString> {
        let path = self.dir.join("cgroup.procs");
        CString::new(path.as_os_str().as_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// Kills everything in it.
    pub fn kill(&self) {
        kill(&self.dir);
    }

    /// Whether no process is in it.
    pub fn is_empty(&self) -> bool {
        match fs::read_to_string(self.dir.join("cgroup.events")) {
            Ok(events) => events.lines().any(|line| line == "populated 0"),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _not_empty = fs::remove_dir(&self.dir);
    }
}

/// Kills everything in a cgroup.
pub fn kill(dir: &Path) {
    // The processes are killed one by one besides.
    let _refused = fs::write(dir.join("cgroup.kill"), "1");
}

/// Removes those of runners that were killed. One that is not empty stays: the system does not remove it.
fn sweep(own: &Path) {
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let runner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if runner.is_some_and(|runner| !Path::new("/proc").join(runner.to_string()).exists()) {
            let _not_empty = fs::remove_dir(entry.path());
        }
    }
}

/// Moves the calling process into a cgroup. Async-signal-safe: for a child between fork and exec.
pub fn enter(entrance: &CString) -> io::Result<()> {
    // SAFETY: the path ends with a zero.
    let file = unsafe { libc::open(entrance.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the pointer and the length are those of a constant; 0 stands for whoever writes.
    let written = unsafe { libc::write(file, c"0".as_ptr().cast(), 1) };
    let result = if written == 1 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: the descriptor was opened above, and is used nowhere else.
    unsafe { libc::close(file) };
    result
}

/// The directory of the cgroup that this process is in.
fn own_directory() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    directory(&mounts, &groups)
}

fn directory(mounts: &str, groups: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        filesystem.starts_with("cgroup2 ").then_some(mount)
    })?;
    let mut fields = mount.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    let below = Path::new(group).strip_prefix(root).ok()?;
    Some(Path::new(at).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 0:21 / /proc rw shared:5 - proc proc rw\n\
        30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn a_process_finds_its_own_cgroup() {
        let found = directory(MOUNTS, "0::/system.slice/node.service\n");
        assert_eq!(found, Some("/sys/fs/cgroup/system.slice/node.service".into()));
        assert_eq!(directory(MOUNTS, "4:memory:/a\n0::/\n"), Some("/sys/fs/cgroup".into()));
    }

    #[test]
    fn those_of_runners_that_were_killed_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| dir.path().join(name);
        let living = format!("{PREFIX}{}", std::process::id());
        // No process has a number as high as the system's limit allows (2^22).
        let dead = format!("{PREFIX}4194305");
        for name in [living.as_str(), dead.as_str(), "user.slice", "nitro-elect-keep"] {
            fs::create_dir(of(name)).unwrap();
        }
        sweep(dir.path());
        assert!(of(&living).exists() && of("user.slice").exists() && of("nitro-elect-keep").exists());
        assert!(!of(&dead).exists());
    }

    #[test]
    fn without_version_2_there_is_none() {
        assert_eq!(directory("22 1 0:21 / /proc rw - proc proc rw\n", "0::/\n"), None);
        assert_eq!(directory(MOUNTS, "4:memory:/a\n"), None);
        let below = "30 23 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(directory(below, "0::/box/a\n"), Some("/sys/fs/cgroup/a".into()));
        assert_eq!(directory(below, "0::/elsewhere\n"), None, "outside of what is mounted");
    }
}
