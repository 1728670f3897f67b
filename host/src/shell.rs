//! A line of the shell, run to its end in a process group of its own: whoever stops waiting ends all that it started.

use std::io;
use std::process::{ExitStatus, Stdio};
use tokio::process::Command;

/// The command of a line, which reads nothing.
pub fn line(text: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", text]).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}

/// Runs the command of a line. When this is dropped, its process group is killed.
pub async fn to_its_end(mut command: Command) -> io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    let mut group = Group(child.id().and_then(|number| i32::try_from(number).ok()));
    let status = child.wait().await?;
    // Its number is free from now on.
    group.0 = None;
    Ok(status)
}

/// Kills a process group when dropped.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // SAFETY: killpg takes two numbers. The group's leader was not waited for, so the number is still its own.
            let _gone = unsafe { libc::killpg(group, libc::SIGKILL) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LATE: Duration = Duration::from_secs(20);

    async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(seen) = look() {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LATE, looking).await.unwrap_or_else(|_| panic!("{what} in time"))
    }

    #[tokio::test]
    async fn what_is_not_waited_for_is_killed_with_all_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let text = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let running = tokio::spawn(to_its_end(line(&text)));
        let number = until("a child", || std::fs::read_to_string(&file).ok()).await;
        running.abort();
        let stat = format!("/proc/{}/stat", number.trim());
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
        until("its end", || (!runs()).then_some(())).await;
    }
}
