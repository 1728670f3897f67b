//! Where things go that nobody named a place for: `$XDG_STATE_HOME/nitro-elect`, by default
//! `~/.local/state/nitro-elect`, and `$XDG_RUNTIME_DIR/nitro-elect` (XDG Base Directory Specification, 0.8).

use std::ffi::OsString;
use std::path::PathBuf;

use crate::help::Help;

/// There is no home directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither XDG_STATE_HOME nor HOME names a directory by its full path")]
pub struct NoStateHome;

impl Help for NoStateHome {
    fn help(&self) -> String {
        "set HOME, or name each file by its flag".into()
    }
}

/// The directory for this user; it need not exist.
pub fn state_home() -> Result<PathBuf, NoStateHome> {
    resolve(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))
}

/// The directory for what lives as long as this user's processes: `$XDG_RUNTIME_DIR/nitro-elect`, or `run` in the
/// state directory where that is not set, as in a container.
pub fn runtime_home() -> Result<PathBuf, NoStateHome> {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match named {
        Some(runtime) => Ok(runtime.join("nitro-elect")),
        None => Ok(state_home()?.join("run")),
    }
}

/// The specification has relative paths ignored.
fn resolve(xdg: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, NoStateHome> {
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(xdg).or_else(|| absolute(home).map(|home| home.join(".local/state")));
    base.map(|base| base.join("nitro-elect")).ok_or(NoStateHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_home_and_relative_paths_do_not_count() {
        let path = |text: &str| Some(OsString::from(text));
        assert_eq!(resolve(path("/state"), path("/people/me")), Ok("/state/nitro-elect".into()));
        let in_home = Ok(PathBuf::from("/people/me/.local/state/nitro-elect"));
        assert_eq!(resolve(None, path("/people/me")), in_home);
        assert_eq!(resolve(path("state"), path("/people/me")), in_home);
        assert_eq!(resolve(path(""), path("")), Err(NoStateHome));
    }
}
