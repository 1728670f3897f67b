//! The flags of whoever runs a command only while a node leads: `node` and `exec`.

use std::time::Duration;

use crate::duration;
use crate::run::limits::WATCHDOG_MIN;
use crate::run::rules::Settings;

/// How a command is ended, and watched.
#[derive(Debug, clap::Args)]
pub struct WorkFlags {
    /// How long CMD has between SIGTERM and SIGKILL while the lease lasts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    stop_timeout: Duration,
    /// Stop CMD and hand over when it sends no WATCHDOG=1 to NOTIFY_SOCKET for this long, as sd_notify(3) does
    #[arg(long, value_name = "TIME", value_parser = watchdog, requires = "command")]
    watchdog: Option<Duration>,
}

fn watchdog(text: &str) -> Result<Duration, String> {
    let span = duration::parse(text).map_err(|error| error.to_string())?;
    let least = WATCHDOG_MIN.as_millis();
    if span < WATCHDOG_MIN { Err(format!("{text} is too short: {least}ms at least")) } else { Ok(span) }
}

impl WorkFlags {
    /// How long a command has after it was asked to end.
    pub fn patience(&self) -> Duration {
        self.stop_timeout
    }

    /// What the rules go by.
    pub fn settings(&self, once: bool) -> Settings {
        Settings { patience: self.stop_timeout, watchdog: self.watchdog, once }
    }
}
