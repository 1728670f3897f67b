//! What this process takes of its machine, under the names that all programs use for it.
//!
//! Read from `/proc/self` at each scrape. What cannot be read is left out: a number that is not known is no 0.

use super::Exposition;
use std::fs;

/// Adds memory and descriptors.
pub fn expose(out: &mut Exposition) {
    if let Some(bytes) = resident_bytes() {
        out.gauge("process_resident_memory_bytes", "Memory of this process in use.", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The listing is itself one of them.
        let open = open.count().saturating_sub(1);
        out.gauge("process_open_fds", "Descriptors that are open.", open as f64);
    }
    if let Some(max) = descriptors_max() {
        out.gauge("process_max_fds", "Descriptors that may be open.", max);
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

fn descriptors_max() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_descriptors_are_told() {
        let mut out = Exposition::new();
        expose(&mut out);
        let text = out.into_text();
        for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
            let prefix = format!("{name} ");
            let sample = text.lines().find_map(|line| line.strip_prefix(&prefix));
            let value: f64 = sample.unwrap_or_else(|| panic!("{name} is missing: {text}")).parse().unwrap();
            assert!(value >= 3.0, "{name} {value}");
        }
    }
}
