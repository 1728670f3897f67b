//! The text format 0.0.4 of Prometheus: for each family its help and its type, then its samples.
//!
//! Source: "Exposition formats", prometheus.io. Invariants: a family stands once, with all of its samples; a counter's
//! name ends in `_total`, no other's does; help and label values are escaped, so that no text from outside can add a
//! line.

use super::histogram::Histogram;
use std::fmt::{Display, Write};

/// The `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics as they are written, family by family.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A number that only rises since the process started.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, "", &[("", value)]);
    }

    /// The same by the values of a label.
    pub fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        debug_assert!(name.ends_with("_total"), "{name}: a counter's name ends in _total");
        self.head(name, "counter", help);
        for (value, number) in values {
            self.sample(name, &[(label, value)], number);
        }
    }

    /// A number that rises and falls.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, "", &[("", value)]);
    }

    /// The same by the values of a label.
    pub fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&str, f64)]) {
        debug_assert!(!name.ends_with("_total"), "{name}: _total is for counters");
        self.head(name, "gauge", help);
        for (value, number) in values {
            self.sample(name, &[(label, value)], number);
        }
    }

    /// Texts that do not change while the process lives, as the labels of a 1.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        debug_assert!(name.ends_with("_info"), "{name}: texts are in a family that ends in _info");
        self.head(name, "gauge", help);
        self.sample(name, labels, &1);
    }

    /// A distribution of spans, in seconds.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        debug_assert!(name.ends_with("_seconds"), "{name}: spans are in seconds");
        self.head(name, "histogram", help);
        let (bucket, mut below) = (format!("{name}_bucket"), 0);
        for (bound, count) in histogram.buckets() {
            below += count;
            let bound = bound.map_or("+Inf".into(), |bound| bound.as_secs_f64().to_string());
            self.sample(&bucket, &[("le", &bound)], &below);
        }
        self.sample(&format!("{name}_sum"), &[], &histogram.sum().as_secs_f64());
        self.sample(&format!("{name}_count"), &[], &below);
    }

    /// All of it.
    pub fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        debug_assert!(is_name(name), "{name:?} is no name of a metric");
        debug_assert!(!self.text.contains(&format!("# TYPE {name} ")), "{name} stands twice");
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A sample; a label without a name is none.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &dyn Display) {
        let named = labels.iter().filter(|(label, _)| !label.is_empty());
        let labels: Vec<String> =
            named.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes every text");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// `[a-z_][a-z0-9_]*`: narrower than what Prometheus takes.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes().all(allowed) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_kind_is_written_as_the_format_says() {
        let mut out = Exposition::new();
        out.counter("requests_total", "Requests.", 3);
        out.counters("refusals_total", "Refusals.", "reason", &[("busy", 1), ("away", 0)]);
        out.gauge("waiting", "Waiting now.", 0.5);
        out.info("build_info", "Which build.", &[("version", "1"), ("kind", "release")]);
        let expected = "\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total 3
# HELP refusals_total Refusals.
# TYPE refusals_total counter
refusals_total{reason=\"busy\"} 1
refusals_total{reason=\"away\"} 0
# HELP waiting Waiting now.
# TYPE waiting gauge
waiting 0.5
# HELP build_info Which build.
# TYPE build_info gauge
build_info{version=\"1\",kind=\"release\"} 1
";
        assert_eq!(out.into_text(), expected);
    }

    #[test]
    fn a_histogram_counts_from_below_and_ends_with_everything() {
        const BOUNDS: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];
        let spans = Histogram::new(&BOUNDS);
        for ms in [1, 5, 6, 2_000] {
            spans.observe(Duration::from_millis(ms));
        }
        let mut out = Exposition::new();
        out.histogram("answer_seconds", "Spans.", &spans);
        let samples: Vec<_> =
            out.text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        let expected = [
            "answer_seconds_bucket{le=\"0.005\"} 2",
            "answer_seconds_bucket{le=\"1\"} 3",
            "answer_seconds_bucket{le=\"+Inf\"} 4",
            "answer_seconds_sum 2.012",
            "answer_seconds_count 4",
        ];
        assert_eq!(samples, expected);
    }

    #[test]
    fn no_text_adds_a_line_or_a_label() {
        let mut out = Exposition::new();
        out.info("a_info", "One\nline \\ only.", &[("text", "a\"b\\c\nd")]);
        let text = out.into_text();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains(r"# HELP a_info One\nline \\ only."), "{text}");
        assert!(text.contains(r#"a_info{text="a\"b\\c\nd"} 1"#), "{text}");
    }
}
