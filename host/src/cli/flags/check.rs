//! The flags of a node's health check.

use std::time::Duration;

use crate::check::Check;
use crate::check::limits::INTERVAL_MIN;
use crate::check::target::Target;
use crate::duration;

/// What says whether this node may lead.
#[derive(Debug, clap::Args)]
pub struct CheckFlags {
    /// What says whether this node may lead: a line for /bin/sh, or a URL with http://. While it fails, the node is not
    /// eligible, and hands over if it leads
    #[arg(long, value_name = "CMD|URL")]
    check: Option<Target>,
    /// How often it is tried
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    check_interval: Duration,
    /// How long a try may take; a command is killed then
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    check_timeout: Duration,
    /// Failures in a row that count; one success counts at once
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    check_threshold: u32,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration::parse(text).map_err(|error| error.to_string())?;
    let least = INTERVAL_MIN.as_millis();
    if interval < INTERVAL_MIN {
        Err(format!("{text} is too often: {least}ms at least"))
    } else {
        Ok(interval)
    }
}

impl CheckFlags {
    /// The check, if there is one.
    pub fn check(&self) -> Option<Check> {
        let (interval, timeout) = (self.check_interval, self.check_timeout);
        let target = self.check.clone()?;
        Some(Check { target, interval, timeout, threshold: self.check_threshold })
    }
}
