//! Commands that run only while their node leads, and how they are ended, whatever they do against it.
//!
//! Each command marks the time on `CLOCK_BOOTTIME` every few milliseconds: two that ever ran at once show in their marks.

use crate::operator::{Cluster, Led, children, is_running, nitro_elect, refusal, run, signal, until};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
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
if ($way eq 'leaves') {
    pipe(my $begun, my $begin) or die;
    if (fork) { sysread($begun, my $mark, 1); exit 0; }
    mark();
    syswrite($begin, '.');
}
if ($way eq 'strays') { unless (fork) { setsid(); unless (fork) { $SIG{TERM} = 'IGNORE'; work(); } exit 0; } }
if ($way eq 'ends') { mark(); exit 7; }
if ($way eq 'dies') { mark(); kill 'KILL', $$; }
if ($way eq 'beats') {
    use Socket;
    socket(my $beats, AF_UNIX, SOCK_DGRAM, 0) or die;
    my $to = pack_sockaddr_un("\0" . substr($ENV{NOTIFY_SOCKET}, 1));
    my $lively = 1;
    $SIG{USR1} = sub { $lively = 0 };
    while (1) { mark(); send($beats, 'WATCHDOG=1', 0, $to) if $lively; usleep(3000); }
}
if ($way eq 'floods') { while (1) { mark(); syswrite(STDOUT, 'x' x 65536); } }
work();
"#;

/// When each process of a command ran, by its marks.
type Spans = BTreeMap<(u64, u32), (u64, u64)>;

impl Cluster {
    /// The arguments that make a node run the command in this way.
    pub fn work(&self, way: &str, more: &[&str]) -> Vec<String> {
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
    pub async fn worker(&self, least: u64) -> u32 {
        until(&format!("work under term {least} or later"), async || {
            let running = |(term, process): &(u64, u32)| *term >= least && is_running(*process);
            self.spans().into_keys().find(running).map(|(_, process)| process)
        })
        .await
    }

    /// Waits until the command of this term or a later one has begun, whether or not it still runs.
    pub async fn begun(&self, least: u64) {
        let is_one = |(term, _): &(u64, u32)| *term >= least;
        until("work that begins", async || self.spans().keys().any(is_one).then_some(())).await;
    }

    pub fn spans(&self) -> Spans {
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
    pub fn no_overlap(&self) -> usize {
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

    pub fn resign(&self, name: &str) -> (Option<i32>, String) {
        let admin = self.admin(name).to_string();
        let output = run(self.operator.directory.path(), &["resign", "--admin", &admin]);
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
    assert!(is_running(node), "its runner did what it owed while it stood still");

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
        let (code, text) = cluster.resign(&first.leader);
        assert_eq!(code, Some(0), "{text}");
        let second = cluster.agreement(first.term + 1).await;
        cluster.begun(second.term).await;
        cluster.operator.kill_node(&second.leader).await;
        let third = cluster.agreement(second.term + 1).await;
        cluster.begun(third.term).await;
        assert!(cluster.no_overlap() >= 3, "{way}");
        let of_others = |(term, process): &(u64, u32)| *term < third.term && is_running(*process);
        assert!(!cluster.spans().keys().any(of_others), "{way}");
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_refused_before_anybody_leads_for_it() {
    let cluster = Cluster::new(1).await;
    let (state, manifest) = (cluster.operator.path("cluster/node-1"), cluster.manifest());
    let node = ["node", "--manifest", &manifest, "--state", &state, "--"];
    let home = cluster.operator.directory.path();
    let text = refusal(home, 127, &[&node[..], &["no-such-command"]].concat());
    assert!(text.contains("no command \"no-such-command\"") && text.contains("help:"), "{text}");
    let text = refusal(home, 126, &[&node[..], &[&manifest]].concat());
    assert!(text.contains("is no program"), "{text}");
}

#[tokio::test]
async fn a_leader_whose_command_can_no_longer_be_started_hands_over() {
    let mut cluster = Cluster::new(4).await;
    let program = |cluster: &Cluster, name: &str| cluster.operator.path(&format!("program-{name}"));
    let script = format!("#!/bin/sh\nexec perl {0}/work.pl {0}/marks plainly\n", cluster.operator.path("."));
    cluster.work("plainly", &[]);
    for name in cluster.names() {
        let path = program(&cluster, &name);
        fs::write(&path, &script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        cluster.start_node_with(&name, &["--", &path]);
    }
    let first = cluster.agreement(1).await;
    let work = cluster.worker(first.term).await;
    fs::remove_file(program(&cluster, &first.leader)).unwrap();
    signal(work, libc::SIGKILL);
    let second = cluster.agreement(first.term + 1).await;
    assert_ne!(second.leader, first.leader);
    cluster.worker(second.term).await;
    let log = cluster.operator.log(&first.leader);
    assert!(log.contains("ended by itself: signal 9") && log.contains("cannot be started"), "{log}");
}

#[tokio::test]
async fn a_command_that_floods_its_output_blocks_nobody_but_itself() {
    let mut cluster = Cluster::made(1, &["--lease", "2s"]).await;
    let words = cluster.work("floods", &[]);
    let (manifest, state) = (cluster.manifest(), cluster.operator.path("cluster/node-1"));
    let (admin, enclave) = (cluster.admin("node-1").to_string(), cluster.enclave.clone());
    let node = ["node", "--manifest", &manifest, "--state", &state, "--enclave", &enclave, "--admin", &admin];
    let words: Vec<&str> = node.into_iter().chain(words.iter().map(String::as_str)).collect();
    // Nobody reads the one pipe that the command and the node write to.
    let (_unread, pipe) = std::io::pipe().unwrap();
    let mut command = nitro_elect(cluster.operator.directory.path(), &words);
    command.env("NITRO_ELECT_LOG", "debug").stdout(pipe.try_clone().unwrap()).stderr(pipe);
    cluster.operator.adopt("node-1", command);
    let led = cluster.agreement(1).await;
    let work = cluster.worker(led.term).await;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(5) {
        assert_eq!(cluster.agreement(1).await, led);
        let told = async || cluster.answer("node-1", "/v1/elections").await;
        assert!(is_running(work), "{:?} {:?}", cluster.spans(), told().await);
    }
    let status = cluster.operator.terminate("node-1").await;
    assert!(status.success() && !is_running(work), "{status}");
}

#[tokio::test]
async fn with_resign_on_exit_the_node_ends_as_its_command_did_and_another_leads() {
    for (way, code) in [("ends", 7), ("dies", 137)] {
        let mut cluster = Cluster::new(3).await;
        let arguments = cluster.work(way, &["--resign-on-exit"]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for name in cluster.names() {
            cluster.start_node_with(&name, if name == "node-1" { &arguments } else { &[] });
        }
        until("a leader with a command", async || {
            let leader = cluster.leader_by("node-2").await?.leader?;
            if leader.name != "node-1" {
                cluster.order(&leader.name, &["resign", "--to", "node-1"]);
            }
            cluster.spans().keys().next().map(|_| ())
        })
        .await;
        let status = cluster.operator.end_of("node-1").await;
        assert_eq!(status.code(), Some(code), "{way}: {status}");
        let next = cluster.agreement(2).await;
        assert_ne!(next.leader, "node-1");
    }
}

#[tokio::test]
async fn a_leader_whose_check_fails_hands_over_and_is_eligible_again_when_it_passes() {
    let mut cluster = Cluster::new(3).await;
    let check = |cluster: &Cluster, name: &str| cluster.operator.path(&format!("sick-{name}"));
    let words = cluster.work("plainly", &[]);
    for name in cluster.names() {
        let test = format!("test ! -e {}", check(&cluster, &name));
        let flags = ["--check", &test, "--check-interval", "50ms", "--check-threshold", "2"];
        let words: Vec<&str> = flags.into_iter().chain(words.iter().map(String::as_str)).collect();
        cluster.start_node_with(&name, &words);
    }
    let first = cluster.agreement(1).await;
    cluster.worker(first.term).await;
    let sick = check(&cluster, &first.leader);
    fs::write(&sick, "").unwrap();
    let second = cluster.agreement(first.term + 1).await;
    assert_ne!(second.leader, first.leader);
    cluster.worker(second.term).await;
    let eligible = async |cluster: &Cluster, wanted: bool| {
        until("the others know", async || {
            let overview = cluster.overview(&second.leader).await?;
            let mut members = overview.members.members.iter();
            members.any(|one| one.name == first.leader && one.eligible == wanted).then_some(())
        })
        .await;
    };
    eligible(&cluster, false).await;
    fs::remove_file(&sick).unwrap();
    eligible(&cluster, true).await;
    assert!(cluster.no_overlap() >= 2);
}

#[tokio::test]
async fn a_command_that_gives_no_sign_of_life_is_stopped_and_another_node_leads() {
    let mut cluster = Cluster::made(3, &["--lease", "3s"]).await;
    let words = cluster.work("beats", &["--watchdog", "400ms", "--stop-timeout", "200ms"]);
    let (first, work) = cluster.start_all_with(&words).await;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) {
        assert_eq!(cluster.agreement(1).await, first, "as long as it gives signs of life");
    }
    assert!(is_running(work));
    // It goes on working, and stops giving signs of life: told through the supervisor and the node.
    signal(cluster.operator.pid(&first.leader), libc::SIGUSR1);
    let second = cluster.agreement(first.term + 1).await;
    assert_ne!(second.leader, first.leader);
    cluster.worker(second.term).await;
    assert!(!is_running(work) && cluster.operator.log(&first.leader).contains("was stuck"));
    assert!(cluster.no_overlap() >= 2);
}

#[tokio::test]
async fn a_runner_that_was_kept_waiting_under_a_lease_ends_nothing_and_a_stopped_command_hears_of_its_end() {
    let mut cluster = Cluster::new(3).await;
    let words = cluster.work("plainly", &["--stop-timeout", "60s"]);
    let (first, work) = cluster.start_all_with(&words).await;
    let runner = children(cluster.operator.node(&first.leader))[0];
    signal(runner, libc::SIGSTOP);
    // Longer than the lease: what the runner was told last is over when it goes on.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    signal(runner, libc::SIGCONT);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(is_running(work) && cluster.agreement(1).await == first, "the lease was renewed all the time");
    signal(work, libc::SIGSTOP);
    let since = Instant::now();
    let (code, text) = cluster.resign(&first.leader);
    assert!(code == Some(0) && since.elapsed() < Duration::from_secs(30), "{text}");
    assert!(!is_running(work));
}

#[tokio::test]
async fn a_runner_that_stands_still_ends_its_node_and_nothing_of_its_command_is_left() {
    let mut cluster = Cluster::new(4).await;
    let words = cluster.work("strays", &["--stop-timeout", "200ms"]);
    let (first, _) = cluster.start_all_with(&words).await;
    let node = cluster.operator.node(&first.leader);
    let runner = children(node)[0];
    signal(runner, libc::SIGSTOP);
    let asking = cluster.admin(&first.leader).to_string();
    let mut resign = nitro_elect(cluster.operator.directory.path(), &["resign", "--admin", &asking]);
    let mut resign = resign.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = cluster.operator.end_of(&first.leader).await;
    assert_eq!(status.code(), Some(1), "{}", cluster.operator.log(&first.leader));
    assert!(!resign.wait().unwrap().success());
    assert!(!is_running(runner));
    let second = cluster.agreement(first.term + 1).await;
    cluster.begun(second.term).await;
    let of_the_first = |(term, process): &(u64, u32)| *term == first.term && is_running(*process);
    assert!(!cluster.spans().keys().any(of_the_first));
    cluster.no_overlap();
}
