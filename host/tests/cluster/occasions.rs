//! Why each election was needed, as running nodes tell it, against what was really done to the leader.

use crate::operator::{Cluster, Led, until};
use serde_json::Value;
use std::fs;

/// What a leader says in its heartbeat, beside its resignation.
const SAID_BESIDE: [&str; 2] = ["leader_drained", "leader_unhealthy"];

impl Cluster {
    /// What a node tells of the first election after this term: its occasion, and the line that `status` prints.
    async fn told(&self, name: &str, term: u64) -> Option<(String, String)> {
        let answer: Value = serde_json::from_str(&self.answer(name, "/v1/elections").await?).unwrap();
        let elections = answer["elections"].as_array().unwrap();
        let of_later_term = |one: &&Value| one["event"] == "elected" && one["term"].as_u64() > Some(term);
        let election = elections.iter().find(of_later_term)?;
        let (term, occasion) = (&election["term"], &election["occasion"]);
        let (code, text) = self.order(name, &["status"]);
        if code != 0 {
            // A certificate comes a moment before its lease is known.
            assert!(text.contains("nobody leads"), "{text}");
            return None;
        }
        let line = text.lines().find(|line| line.contains(&format!("leads term {term}: ")))?;
        assert!(line.contains(occasion["text"].as_str().unwrap()), "{line}: {occasion}");
        Some((occasion["name"].as_str().unwrap().to_owned(), line.to_owned()))
    }

    /// Waits for the next leader, and fails unless all these nodes tell this of its election. What the last leader said
    /// beside its resignation is certain to have reached itself and its successor; to others it may have come too late.
    async fn next(&mut self, last: &Led, occasion: &str, by: &[String]) -> Led {
        let next = self.agreement(last.term + 1).await;
        for name in by {
            let (found, line) =
                until("the election is told", async || self.told(name, last.term).await).await;
            let is_sure = *name == last.leader || *name == next.leader;
            let said_less = SAID_BESIDE.contains(&occasion) && found == "leader_resigned";
            assert!(found == occasion || (said_less && !is_sure), "{name}, {occasion}: {line}");
            assert!(occasion == "first" || line.contains(&last.leader), "{name}: {line}");
        }
        next
    }

    /// The nodes but this one.
    fn others(&self, name: &str) -> Vec<String> {
        self.names().into_iter().filter(|other| other != name).collect()
    }

    /// Starts a node that is unhealthy while there is a file of its name, and waits until it can be relied on.
    async fn start_checked(&mut self, name: &str) {
        let check = format!("! test -e {}", self.operator.path(&format!("sick-{name}")));
        self.start_node_with(name, &["--check", &check, "--check-interval", "100ms"]);
        until("it is ready", async || self.answer(name, "/readyz").await).await;
    }
}

#[tokio::test]
async fn every_node_tells_why_each_election_was_needed() {
    let mut cluster = Cluster::new(4).await;
    for name in cluster.names() {
        let check = format!("! test -e {}", cluster.operator.path(&format!("sick-{name}")));
        cluster.start_node_with(&name, &["--check", &check, "--check-interval", "100ms"]);
    }
    let everybody = cluster.names();
    let before = Led { leader: String::new(), term: 0 };
    let first = cluster.next(&before, "first", &everybody).await;

    // SIGKILL of the leading node's process: its supervisor sends the last will.
    cluster.operator.kill_node(&first.leader).await;
    let second = cluster.next(&first, "leader_died", &cluster.others(&first.leader)).await;
    cluster.start_checked(&first.leader).await;
    let returned = until("it catches up", async || cluster.told(&first.leader, first.term).await).await;
    assert_eq!(returned.0, "not_seen", "{}", returned.1);

    let to = cluster.others(&second.leader).remove(0);
    let (code, text) = cluster.order(&second.leader, &["resign", "--to", &to]);
    assert_eq!(code, 0, "{text}");
    let third = cluster.next(&second, "handed_over", &everybody).await;
    assert_eq!(third.leader, to);

    assert_eq!(cluster.order(&third.leader, &["drain"]).0, 0);
    let fourth = cluster.next(&third, "leader_drained", &everybody).await;
    assert_eq!(cluster.order(&third.leader, &["undrain"]).0, 0);

    fs::write(cluster.operator.path(&format!("sick-{}", fourth.leader)), "").unwrap();
    let fifth = cluster.next(&fourth, "leader_unhealthy", &everybody).await;

    // SIGKILL of its supervisor too: nobody is left to say anything, and the lease runs out.
    cluster.operator.kill(&fifth.leader);
    let others = cluster.others(&fifth.leader);
    let sixth = cluster.next(&fifth, "leader_silent", &others).await;

    // SIGTERM: it resigns in order before it ends.
    cluster.start_checked(&fifth.leader).await;
    cluster.operator.terminate(&sixth.leader).await;
    cluster.next(&sixth, "leader_drained", &cluster.others(&sixth.leader)).await;
}
