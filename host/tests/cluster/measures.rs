//! What `/metrics` says of leaders that come and go.

use crate::operator::{Cluster, run, until};

impl Cluster {
    /// The value of a sample of a node's metrics.
    pub async fn metric(&self, name: &str, sample: &str) -> f64 {
        let text = self.answer(name, "/metrics").await.expect("it answers");
        let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {sample} in:\n{text}")).parse().unwrap()
    }

    async fn ours(&self, name: &str, sample: &str) -> f64 {
        self.metric(name, &format!("nitro_elect_node_{sample}")).await
    }

    /// Successions that a node saw: by a lease that ran out, by a resignation or a last will, and all of them.
    async fn successions(&self, name: &str) -> [f64; 3] {
        let mut seen = [0.0; 3];
        for (at, kind) in ["failover", "handover", "leaderless"].into_iter().enumerate() {
            seen[at] = self.ours(name, &format!("{kind}_seconds_count")).await;
        }
        seen
    }
}

#[tokio::test]
async fn a_hand_over_and_a_kill_are_timed_by_those_who_stay() {
    let (mut cluster, first) = Cluster::led(4).await;
    for name in cluster.names() {
        let leads = if name == first.leader { 1.0 } else { 0.0 };
        assert_eq!(cluster.ours(&name, "is_leader").await, leads, "{name}");
        assert_eq!(cluster.ours(&name, "certificate_assurance{assurance=\"simulated\"}").await, 1.0);
        assert_eq!(cluster.successions(&name).await, [0.0; 3], "the first leader succeeds nobody");
    }
    let admin = cluster.admin(&first.leader).to_string();
    let resigned = run(cluster.operator.directory.path(), &["resign", "--admin", &admin]);
    assert!(resigned.status.success(), "{resigned:?}");
    let second = cluster.agreement(first.term + 1).await;
    for name in cluster.names() {
        assert_eq!(cluster.successions(&name).await, [0.0, 1.0, 1.0], "{name}");
        let span = cluster.ours(&name, "handover_seconds_sum").await;
        assert!(span < 1.0, "a hand-over waits for no lease: {span} s at {name}");
    }
    cluster.operator.kill(&second.leader);
    let third = cluster.agreement(second.term + 1).await;
    let [ran_out, resigned, all] = cluster.successions(&third.leader).await;
    assert_eq!((ran_out + resigned, all), (2.0, 2.0));
    until("renewals by three voters", async || {
        let renewals = cluster.ours(&third.leader, "lease_renewals_total").await;
        let active = cluster.ours(&third.leader, "members_active{role=\"voter\"}").await;
        (renewals > 2.0 && active == 3.0).then_some(())
    })
    .await;
}
