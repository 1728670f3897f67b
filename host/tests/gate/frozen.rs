//! A gate that is frozen and thawed: what had piled up before it is not forwarded.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

use nitro_elect::transport::tls::ExpectedKey;

use crate::operator::{Operator, signal};
use crate::presenter::{LATE, Presenter, line, until};
use crate::resource::Resource;
use crate::world::shared;

/// A gate as a process of its own, before this resource, for the voters of the tests' world.
async fn gate(operator: &mut Operator, resource: &Resource) -> SocketAddr {
    let (manifest, state) = (operator.path("world.toml"), operator.path("gate"));
    shared().manifest().save(manifest.as_ref()).unwrap();
    let listen: SocketAddr = ([127, 0, 0, 1], operator.ports.some(1).unwrap()).into();
    let (listening, upstream) = (listen.to_string(), resource.address.to_string());
    let arguments = [
        "gate",
        "--listen",
        &listening,
        "--upstream",
        &upstream,
        "--manifest",
        &manifest,
        "--state",
        &state,
        "--allow-simulated",
    ];
    operator.start("the-gate", &arguments);
    until("the start of the gate", || std::net::TcpStream::connect(listen).is_ok()).await;
    listen
}

/// Whether no thread of a process runs: each stops when it next comes to the signal, not when that is sent.
fn is_frozen(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stat = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("stat")).unwrap();
    threads.map(|thread| stat(thread.unwrap())).all(|stat| stat.contains(") T "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_was_frozen_forwards_nothing_of_what_piled_up() {
    let (mut operator, resource) = (Operator::new(), Resource::start());
    let gate = gate(&mut operator, &resource).await.to_string();
    let expected = ExpectedKey::Any;
    let leader = Presenter { world: shared(), gate, expected, voter: 0, shown: 0, term: 7 };
    let mut stream = leader.data().await.unwrap();
    line(&mut stream, "before").await.unwrap();
    signal(operator.pid("the-gate"), libc::SIGSTOP);
    until("the stop", || is_frozen(operator.pid("the-gate"))).await;
    let flood = tokio::spawn(async move { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} });
    tokio::time::sleep(Duration::from_millis(1200)).await; // a lease and more since its proof
    assert_eq!(resource.text(), "before\n");
    signal(operator.pid("the-gate"), libc::SIGCONT);
    tokio::time::timeout(LATE, flood).await.expect("the connection is closed").unwrap();
    let next = Presenter { voter: 1, shown: 1, term: 8, ..leader };
    line(&mut next.data().await.unwrap(), "after").await.unwrap();
    assert_eq!(resource.text(), "before\nafter\n");
}
