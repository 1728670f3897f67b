//! `exec` beside nodes that run: the same command, the same promises, and a node that it does not believe.

use crate::operator::{Cluster, children, is_running, refusal, run, signal, until};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

impl Cluster {
    /// The arguments of an exec beside this node that runs the command in this way.
    fn exec(&self, node: &str, way: &str, more: &[&str]) -> Vec<String> {
        let (state, manifest) = (self.operator.path(&format!("cluster/{node}")), self.manifest());
        let exec = ["exec", "--state", &state, "--manifest", &manifest, "--allow-simulated"];
        exec.iter().map(|word| word.to_string()).chain(self.work(way, more)).collect()
    }

    fn start_exec(&mut self, name: &str, node: &str, way: &str, more: &[&str]) {
        let words = self.exec(node, way, more);
        self.operator.start(name, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_command_beside_a_node_runs_while_that_leads_and_the_node_waits_for_its_end() {
    let (mut cluster, first) = Cluster::led(4).await;
    for name in cluster.names() {
        cluster.start_exec(&format!("exec-{name}"), &name, "plainly", &[]);
    }
    let work = cluster.worker(first.term).await;
    let (code, text) = cluster.resign(&first.leader);
    assert_eq!(code, Some(0), "{text}");
    let second = cluster.agreement(first.term + 1).await;
    let next = cluster.worker(second.term).await;
    assert!(!is_running(work));

    // The node dies: nobody tells the exec, and the will waits for what nobody can see.
    cluster.operator.kill_node(&second.leader).await;
    let third = cluster.agreement(second.term + 1).await;
    cluster.worker(third.term).await;
    assert!(!is_running(next));
    let log = cluster.operator.log(&second.leader);
    assert!(log.contains("1 runner(s) beside it may still be at work"), "{log}");
    cluster.start_node(&second.leader);
    until("the exec is back", async || {
        let log = cluster.operator.log(&format!("exec-{}", second.leader));
        log.contains("attached to the node again").then_some(())
    })
    .await;

    // The exec is frozen: its runner needs nobody.
    let led = cluster.agreement(third.term).await;
    let work = cluster.worker(led.term).await;
    let exec = cluster.operator.pid(&format!("exec-{}", led.leader));
    signal(exec, libc::SIGSTOP);
    until("the end of its work", async || (!is_running(work)).then_some(())).await;
    signal(exec, libc::SIGCONT);
    cluster.worker(led.term).await;
    assert!(cluster.no_overlap() >= 3);
}

#[tokio::test]
async fn an_exec_ends_as_its_command_did_and_hands_over_if_told_to() {
    let (mut cluster, first) = Cluster::led(3).await;
    let home = cluster.operator.directory.path().to_owned();
    let plain = cluster.exec(&first.leader, "ends", &[]);
    let output = run(&home, &plain.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(cluster.agreement(1).await, first, "the node leads on");
    let resigning = cluster.exec(&first.leader, "dies", &["--resign-on-exit"]);
    let output = run(&home, &resigning.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(137), "{}", String::from_utf8_lossy(&output.stderr));
    assert_ne!(cluster.agreement(first.term + 1).await.leader, first.leader);
}

#[tokio::test]
async fn a_signal_to_an_exec_ends_its_command_first() {
    let (mut cluster, first) = Cluster::led(3).await;
    cluster.start_exec("exec", &first.leader, "stubborn", &["--stop-timeout", "300ms"]);
    let work = cluster.worker(first.term).await;
    let status = cluster.operator.terminate("exec").await;
    assert!(!is_running(work));
    assert_eq!(status.code(), Some(137), "{}", cluster.operator.log("exec"));
    cluster.start_exec(
        "idle",
        &cluster.names().into_iter().find(|name| *name != first.leader).unwrap(),
        "ends",
        &[],
    );
    until("it waits", async || cluster.operator.log("idle").contains("runs while that leads").then_some(()))
        .await;
    assert!(cluster.operator.terminate("idle").await.success());
    // One that is killed leaves its command to its runner.
    cluster.start_exec("exec", &first.leader, "strays", &[]);
    let work = cluster.worker(first.term).await;
    cluster.operator.kill("exec");
    until("the end of its work", async || (!is_running(work)).then_some(())).await;
    until("all of its work", async || {
        (!cluster.spans().keys().any(|(_, one)| is_running(*one))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_of_a_command_outlives_an_exec_that_has_lost_its_runner_or_is_told_to_end_at_once() {
    let (mut cluster, first) = Cluster::led(3).await;
    let running = |cluster: &Cluster| cluster.spans().keys().any(|(_, process)| is_running(*process));
    cluster.start_exec("exec", &first.leader, "strays", &[]);
    cluster.worker(first.term).await;
    signal(children(cluster.operator.pid("exec"))[0], libc::SIGKILL);
    let status = cluster.operator.end_of("exec").await;
    assert!(!running(&cluster), "the runner was killed");
    assert_eq!(status.code(), Some(1), "{}", cluster.operator.log("exec"));

    cluster.start_exec("again", &first.leader, "strays", &[]);
    cluster.worker(first.term).await;
    let exec = cluster.operator.pid("again");
    signal(children(exec)[0], libc::SIGSTOP);
    signal(exec, libc::SIGTERM);
    until("it was told", async || cluster.operator.log("again").contains("once more ends").then_some(()))
        .await;
    signal(exec, libc::SIGTERM);
    let status = cluster.operator.end_of("again").await;
    assert!(!running(&cluster), "the runner stood still");
    assert_eq!(status.code(), Some(143), "{}", cluster.operator.log("again"));
    let (code, text) = cluster.resign(&first.leader);
    assert_eq!(code, Some(0), "the node knows that nothing is left: {text}");
}

#[tokio::test]
async fn an_exec_whose_runner_stands_still_ends_its_command_with_the_lease() {
    let (mut cluster, first) = Cluster::led(4).await;
    for name in cluster.names() {
        cluster.start_exec(&format!("exec-{name}"), &name, "plainly", &[]);
    }
    let work = cluster.worker(first.term).await;
    let exec = format!("exec-{}", first.leader);
    signal(children(cluster.operator.pid(&exec))[0], libc::SIGSTOP);
    cluster.operator.kill_node(&first.leader).await;
    let status = cluster.operator.end_of(&exec).await;
    assert!(!is_running(work));
    assert_eq!(status.code(), Some(1), "{}", cluster.operator.log(&exec));
    cluster.worker(first.term + 1).await;
    assert!(cluster.no_overlap() >= 2);
}

#[tokio::test]
async fn an_exec_that_stands_still_holds_up_no_hand_over_and_begins_anew_when_it_goes_on() {
    let (mut cluster, first) = Cluster::led(3).await;
    for name in cluster.names() {
        cluster.start_exec(&format!("exec-{name}"), &name, "plainly", &[]);
    }
    let work = cluster.worker(first.term).await;
    let exec = cluster.operator.pid(&format!("exec-{}", first.leader));
    signal(exec, libc::SIGSTOP);
    let (code, text) = cluster.resign(&first.leader);
    assert!(code == Some(0) && !is_running(work), "{text}");
    let second = cluster.agreement(first.term + 1).await;
    cluster.worker(second.term).await;
    signal(exec, libc::SIGCONT);
    let admin = cluster.admin(&second.leader).to_string();
    let home = cluster.operator.directory.path().to_owned();
    until("the way back, once the node that stepped down is eligible again", async || {
        run(&home, &["resign", "--to", &first.leader, "--admin", &admin]).status.success().then_some(())
    })
    .await;
    cluster.worker(second.term + 1).await;
    assert!(cluster.no_overlap() >= 3);
}

#[tokio::test]
async fn an_exec_outlives_a_node_that_stands_still_and_begins_again_when_that_goes_on() {
    let (mut cluster, first) = Cluster::led(1).await;
    cluster.start_exec("exec", &first.leader, "plainly", &[]);
    let work = cluster.worker(first.term).await;
    let node = cluster.operator.node(&first.leader);
    signal(node, libc::SIGSTOP);
    until("the end of its work", async || (!is_running(work)).then_some(())).await;
    // Longer than a runner may be late.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    signal(node, libc::SIGCONT);
    assert_ne!(cluster.worker(first.term).await, work);
    cluster.operator.terminate("exec").await;
}

#[tokio::test]
async fn an_exec_believes_no_node_that_it_was_not_given_and_no_simulation_that_it_did_not_ask_for() {
    let (cluster, first) = Cluster::led(1).await;
    let home = cluster.operator.directory.path().to_owned();
    let words = cluster.exec(&first.leader, "ends", &[]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let attested: Vec<&str> = words.iter().copied().filter(|word| *word != "--allow-simulated").collect();
    let text = refusal(&home, 3, &attested);
    assert!(text.contains("simulated") && text.contains("--allow-simulated"), "{text}");
    let key = "ab".repeat(32);
    let other = [&["exec", "--node", &key], &words[1..]].concat();
    let text = refusal(&home, 1, &other);
    assert!(text.contains("expected abab"), "{text}");
    assert!(cluster.spans().is_empty(), "nothing ever ran");
}

#[tokio::test]
async fn without_a_node_or_with_something_else_at_its_place_an_exec_says_so() {
    let cluster = Cluster::new(1).await;
    let home = cluster.operator.directory.path().to_owned();
    let words = cluster.exec("node-1", "ends", &[]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = refusal(&home, 1, &words);
    assert!(
        text.contains("no node runs with the state directory") && text.contains("nitro-elect node"),
        "{text}"
    );
    let socket = cluster.operator.path("cluster/node-1/exec.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(refusal(&home, 1, &words).contains("no node runs"), "a socket that was left behind");
    fs::remove_file(&socket).unwrap();
    let impostor = UnixListener::bind(&socket).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = impostor.accept().unwrap();
        let mut hello = [0; 256];
        let read = stream.read(&mut hello).unwrap();
        stream.write_all(b"220 mail.example.org ESMTP\n").unwrap();
        String::from_utf8(hello[..read].to_vec()).unwrap()
    });
    assert!(refusal(&home, 1, &words).contains("no node of this version"));
    assert!(answering.join().unwrap().contains("Attach"));
}
