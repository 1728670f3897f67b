//! Commands that run only while their node leads, and how they are ended, whatever they do against it.
//!
//! Each command marks the time on `CLOCK_BOOTTIME` every few milliseconds: two that ever ran at once show in their marks.

use crate::operator::{Cluster, Led, is_running, signal, until};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Marks the time until it is ended, in the way that its second argument names.
const WORK: &str = r#"
use Time::HiRes qw(clock_gettime usleep);
use POSIX qw(setsid);
my ($file, $way) = @ARGV;
open(my $marks, '>>', $file) or die;
sub mark { syswrite($marks, sprintf("%d %d %d\n", $ENV{NITRO_ELECT_TERM}, $$, 1e9 * clock_gettime(7))); }
sub work { while (1) { mark(); usleep(3000); } }
if ($way eq 'stubborn') { $SIG{TERM} = 'IGNORE'; }
if ($way eq 'leaves') { exit 0 if fork; }
if ($way eq 'strays') { unless (fork) { setsid(); unless (fork) { $SIG{TERM} = 'IGNORE'; work(); } exit 0; } }
if ($way eq 'ends') { mark(); exit 7; }
if ($way eq 'dies') { mark(); kill 'KILL', $$; }
if ($way eq 'floods') { while (1) { mark(); syswrite(STDOUT, 'x' x 65536); } }
work();
"#;

/// When each process of a command ran, by its marks.
type Spans = BTreeMap<(u64, u32), (u64, u64)>;

impl Cluster {
    /// The arguments that make a node run the command in this way.
    fn work(&self, way: &str, more: &[&str]) -> Vec<String> {
        let script = self.operator.path("work.pl");
        fs::write(&script, WORK).unwrap();
        let command = ["--".into(), "perl".into(), script, self.operator.path("marks"), way.into()];
        more.iter().map(|word| word.to_string()).chain(command).collect()
    }

    /// Starts all nodes with a command, and waits until it runs under the leader.
    async fn start_all_with(&mut self, arguments: &[String]) -> (Led, u32) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for name in self.names() {
            self.start_node_with(&name, &arguments);
        }
        let led = self.agreement(1).await;
        self.begun(led.term).await;
        let process = self.spans().into_keys().next_back().expect("it has begun").1;
        (led, process)
    }

    /// The process of the command of this term or a later one, once it runs.
    async fn worker(&self, least: u64) -> u32 {
        until(&format!("work under term {least} or later"), async || {
            let running = |(term, process): &(u64, u32)| *term >= least && is_running(*process);
            self.spans().into_keys().find(running).map(|(_, process)| process)
        })
        .await
    }

    /// Waits until the command of this term or a later one has begun, whether or not it still runs.
    async fn begun(&self, least: u64) {
        let is_one = |(term, _): &(u64, u32)| *term >= least;
        until("work that begins", async || self.spans().keys().any(is_one).then_some(())).await;
    }

    fn spans(&self) -> Spans {
        let marks = fs::read_to_string(self.operator.path("marks")).unwrap_or_default();
        let mut spans = Spans::new();
        for line in marks.lines() {
            let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
            let [term, process, at] = numbers[..] else { panic!("{line}") };
            let span = spans.entry((term, u32::try_from(process).unwrap())).or_insert((at, at));
            span.1 = at;
        }
        spans
    }

    /// Fails if work of two terms was ever done at once, or in the wrong order. Returns how many terms there were.
    fn no_overlap(&self) -> usize {
        let mut terms: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for ((term, _), (first, last)) in self.spans() {
            let span = terms.entry(term).or_insert((first, last));
            *span = (span.0.min(first), span.1.max(last));
        }
        let spans: Vec<_> = terms.iter().collect();
        for pair in spans.windows(2) {
            assert!(pair[0].1.1 < pair[1].1.0, "term {} works while term {} does", pair[0].0, pair[1].0);
        }
        terms.len()
    }

    fn resign(&self, name: &str) -> (Option<i32>, String) {
        let admin = self.admin(name).to_string();
        let output = crate::operator::run(self.operator.directory.path(), &["resign", "--admin", &admin]);
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }
}

#[tokio::test]
async fn whatever_becomes_of_the_leader_two_commands_never_run_at_once() {
    let mut cluster = Cluster::new(4).await;
    let arguments = cluster.work("plainly", &[]);
    let (first, work) = cluster.start_all_with(&arguments).await;

    cluster.operator.kill_node(&first.leader).await;
    let second = cluster.agreement(first.term + 1).await;
    let next = cluster.worker(second.term).await;
    assert!(!is_running(work) && next != work);
    cluster.start_node_with(&first.leader, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    cluster.agreement(second.term).await;

    let node = cluster.operator.node(&second.leader);
    signal(node, libc::SIGSTOP);
    let third = until("work under another leader", async || {
        let spans = cluster.spans();
        spans.into_keys().find(|(term, process)| *term > second.term && is_running(*process))
    })
    .await;
    assert!(!is_running(next), "its runner needed nobody to tell it the time");
    signal(node, libc::SIGCONT);
    let led = cluster.agreement(third.0).await;

    let (code, text) = cluster.resign(&led.leader);
    assert_eq!(code, Some(0), "{text}");
    let fourth = cluster.agreement(led.term + 1).await;
    cluster.worker(fourth.term).await;
    let status = cluster.operator.terminate(&fourth.leader).await;
    assert!(status.success(), "{status}");
    let fifth = cluster.agreement(fourth.term + 1).await;
    cluster.worker(fifth.term).await;
    assert!(cluster.no_overlap() >= 5);
}

#[tokio::test]
async fn a_resignation_waits_for_a_command_that_ignores_sigterm_until_its_patience_is_over() {
    let mut cluster = Cluster::new(4).await;
    let arguments = cluster.work("stubborn", &["--stop-timeout", "2s"]);
    let (first, work) = cluster.start_all_with(&arguments).await;
    let asked = Instant::now();
    let (code, text) = cluster.resign(&first.leader);
    let took = asked.elapsed();
    assert_eq!(code, Some(0), "{text}");
    assert!(took >= Duration::from_secs(2) && !is_running(work), "{took:?}");
    let log = cluster.operator.log(&first.leader);
    assert!(log.contains("it is killed"), "{log}");
    let second = cluster.agreement(first.term + 1).await;
    cluster.worker(second.term).await;
    assert_eq!(cluster.no_overlap(), 2);
}

#[tokio::test]
async fn nothing_that_a_command_leaves_behind_outlives_its_leadership() {
    for way in ["strays", "leaves"] {
        let mut cluster = Cluster::new(3).await;
        let arguments = cluster.work(way, &["--stop-timeout", "300ms"]);
        let (first, _) = cluster.start_all_with(&arguments).await;
        cluster.operator.kill_node(&first.leader).await;
        let second = cluster.agreement(first.term + 1).await;
        cluster.begun(second.term).await;
        let (code, text) = cluster.resign(&second.leader);
        assert_eq!(code, Some(0), "{text}");
        let third = cluster.agreement(second.term + 1).await;
        cluster.begun(third.term).await;
        assert!(cluster.no_overlap() >= 3, "{way}");
        let of_others = |(term, process): &(u64, u32)| *term < third.term && is_running(*process);
        assert!(!cluster.spans().keys().any(of_others), "{way}");
    }
}
