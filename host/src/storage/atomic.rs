//! Whole files, written so that a crash or a full disk leaves the old contents or the new, never a mixture:
//! a temporary file beside the target, synced, renamed over it, and the directory synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// What the names of temporary files end with.
const SUFFIX: &str = ".new";

/// Replaces the contents of `path`, or makes the file; its mode becomes `mode`.
///
/// When this returns, the new contents survive a power failure. After an error the old ones are still there,
/// unless the sync of the directory alone failed: then either may be after a power failure.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (parent, temporary) = write_beside(path, bytes, mode)?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_directory(parent)
}

/// The same for what only the living read: it takes no time, and nothing of it need survive a power failure.
pub fn show(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (_, temporary) = put_beside(path, bytes, mode)?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes a file that must not be there yet: [`io::ErrorKind::AlreadyExists`] if it is.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (parent, temporary) = write_beside(path, bytes, mode)?;
    temporary.persist_noclobber(path).map_err(|error| error.error)?;
    sync_directory(parent)
}

/// Makes names in a directory survive a power failure.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes the temporary files that a killed process left beside `path`. Only for a directory that is locked.
pub(crate) fn sweep(path: &Path) -> io::Result<()> {
    remove_temporary(parent(path), &prefix(path))
}

/// Removes all that killed processes left in a directory which has nothing but files written by this module.
pub(super) fn sweep_all(dir: &Path) -> io::Result<()> {
    remove_temporary(dir, ".")
}

fn remove_temporary(dir: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) && name.ends_with(SUFFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write_beside<'a>(path: &'a Path, bytes: &[u8], mode: u32) -> io::Result<(&'a Path, NamedTempFile)> {
    let (parent, temporary) = put_beside(path, bytes, mode)?;
    temporary.as_file().sync_data()?;
    Ok((parent, temporary))
}

/// Errors are the system's own: whoever reports them names the file, and the temporary one's name is different each time.
fn put_beside<'a>(path: &'a Path, bytes: &[u8], mode: u32) -> io::Result<(&'a Path, NamedTempFile)> {
    let parent = parent(path);
    let mut builder = tempfile::Builder::new();
    let prefix = prefix(path);
    let make = |path: &Path| File::options().read(true).write(true).create_new(true).mode(mode).open(path);
    let mut temporary = builder.prefix(&prefix).suffix(SUFFIX).make_in(parent, make)?;
    temporary.as_file_mut().write_all(bytes)?;
    Ok((parent, temporary))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn an_error_is_the_systems_and_does_not_change_with_the_temporary_name() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none/file");
        let error = || replace(&missing, b"new", 0o600).unwrap_err();
        assert_eq!(error().kind(), io::ErrorKind::NotFound);
        assert_eq!(error().to_string(), io::Error::from_raw_os_error(libc::ENOENT).to_string());
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["record"]);
    }

    #[test]
    fn a_file_that_is_there_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, b"one", 0o600).unwrap();
        assert_eq!(create(&path, b"two", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".record.abc.new", "record", "record.new", ".other.abc.new"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        sweep(&dir.path().join("record")).unwrap();
        let mut left = names(dir.path());
        left.sort();
        assert_eq!(left, [".other.abc.new", "record", "record.new"]);
    }
}
