//! The browser's process and the two ends of its pipe.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::env;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Moves the pipes that the test holds to the descriptors where the browser looks for them.
const MOVE_PIPES: &str = r#"exec "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1"#;

/// Nothing is asked of any machine but this one, and nothing of the user's own settings plays a part. The sandbox is
/// left out because it does not start where tests often run, as root or in a container; the only page is our own.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
];

/// A running browser.
pub struct Pipe {
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    last: u64,
    _process: Child,
    _home: TempDir,
}

impl Pipe {
    /// Starts the browser in a home of its own; nothing if it is not installed.
    pub fn open() -> Result<Option<Self>> {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|folder| folder.join("chromium").is_file()) {
            return Ok(None);
        }
        let home = tempfile::tempdir()?;
        let mut command = Command::new("sh");
        command.args(["-c", MOVE_PIPES, "sh", "chromium"]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", home.path().join("profile").display()));
        command.env("HOME", home.path()).env("XDG_CONFIG_HOME", home.path()).env("TMPDIR", home.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("start chromium")?;
        let commands = process.stdin.take().context("its commands")?;
        let answers = BufReader::new(process.stdout.take().context("its answers")?);
        Ok(Some(Pipe { commands, answers, last: 0, _process: process, _home: home }))
    }

    /// Sends a command and waits for its answer; events that come before it are kept.
    pub async fn call(
        &mut self,
        method: &str,
        parameters: Value,
        session: &str,
        events: &mut Vec<Value>,
    ) -> Result<Value> {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": parameters });
        if !session.is_empty() {
            command["sessionId"] = session.into();
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        self.commands.write_all(&bytes).await?;
        loop {
            let mut message = self.read().await?;
            match message.get("id") {
                Some(id) if *id == self.last => {
                    if let Some(error) = message.get("error") {
                        bail!("{error}");
                    }
                    return Ok(message["result"].take());
                }
                Some(_) => {}
                None => events.push(message),
            }
        }
    }

    async fn read(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).await?;
        ensure!(bytes.pop() == Some(0), "the browser has ended");
        Ok(serde_json::from_slice(&bytes)?)
    }
}
