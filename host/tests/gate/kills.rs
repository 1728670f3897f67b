//! Leading processes are killed, one after the other, while a client beside each node writes through its local port: no
//! number is ever written twice, whoever was interrupted, orphaned or late.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::fleet::Fleet;
use crate::operator::until;

/// How long the store takes to write: its connections end later than they are asked to.
const WORK: Duration = Duration::from_millis(3);
/// Between asking for a number and writing under it.
const THOUGHT: Duration = Duration::from_millis(10);

/// A store that trusts its clients: it says which number is next, and writes under whatever number it is told.
#[derive(Clone)]
struct Store {
    address: SocketAddr,
    /// Numbers, and who wrote them, in order.
    lines: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Store {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = Store { address: listener.local_addr().unwrap(), lines: Arc::default() };
        let serving = store.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(&stream.unwrap()));
            }
        });
        store
    }

    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        for line in BufReader::new(stream).lines() {
            match line.ok()?.split_once(' ') {
                Some((number, writer)) => {
                    thread::sleep(WORK);
                    self.lines.lock().unwrap().push((number.parse().unwrap(), writer.to_owned()));
                    writeln!(stream, "written").ok()?;
                }
                None => writeln!(stream, "{}", self.lines.lock().unwrap().len() + 1).ok()?,
            }
        }
        None
    }

    fn lines(&self) -> Vec<(usize, String)> {
        self.lines.lock().unwrap().clone()
    }

    /// What was written, each number once and in order.
    fn checked(&self) -> Vec<(usize, String)> {
        let lines = self.lines();
        for (at, (number, writer)) in lines.iter().enumerate() {
            assert_eq!(*number, at + 1, "each number once, in order: {writer}");
        }
        lines
    }
}

/// Writes for ever as one node's client, and never looks who leads.
fn write_on(port: u16, writer: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let _hung_up = session(port, writer, stop);
        thread::sleep(THOUGHT);
    }
}

fn session(port: u16, writer: &str, stop: &AtomicBool) -> std::io::Result<()> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let mut answers = BufReader::new(&stream).lines();
    let mut ask = |line: &str| {
        writeln!(&stream, "{line}")?;
        answers.next().unwrap_or(Err(std::io::ErrorKind::UnexpectedEof.into()))
    };
    while !stop.load(Ordering::Relaxed) {
        let number = ask("next")?;
        thread::sleep(THOUGHT);
        ask(&format!("{number} {writer}"))?;
    }
    Ok(())
}

fn median(mut waits: Vec<Duration>) -> Option<Duration> {
    waits.sort_unstable();
    waits.get(waits.len() / 2).copied()
}

/// Kills so many leading processes, each after its client has written, and counts what was written twice.
async fn kill(kills: usize) {
    let store = Store::start();
    let (mut fleet, led) = Fleet::led(&store.address.to_string(), &["--lease", "400ms"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients = fleet.cluster.names().into_iter().map(|name| {
        let (port, stop) = (fleet.local(&name), stop.clone());
        thread::spawn(move || write_on(port, &name, &stop))
    });
    let clients: Vec<_> = clients.collect();
    let mut leader = led.leader;
    let mut waits = [Vec::new(), Vec::new()];
    for round in 0..kills {
        let written = store.lines().len();
        let wrote = until("a line of the leader", async || {
            let lines = store.lines();
            lines.get(written + 3..)?.last().map(|(_, writer)| writer.clone())
        });
        leader = wrote.await;
        let killed = Instant::now();
        match round % 2 {
            0 => drop(fleet.cluster.operator.kill_node(&leader).await), // its supervisor sends its last will
            _ => fleet.cluster.operator.kill(&leader), // the machine is lost, the lease decides
        }
        let next = until("a line of the next leader", async || {
            let (_, writer) = store.lines().last()?.clone();
            (writer != leader).then_some(writer)
        });
        next.await;
        waits[round % 2].push(killed.elapsed());
        fleet.cluster.start_node(&leader);
        if round % 50 == 49 {
            eprintln!("{} leaders killed, {} lines written, none twice", round + 1, store.checked().len());
        }
    }
    stop.store(true, Ordering::Relaxed);
    let lines = store.checked();
    let [by_will, by_lease] = waits.map(median);
    eprintln!(
        "until the next leader had written: {by_will:?} with a last will, {by_lease:?} without, median"
    );
    eprintln!("{kills} leaders killed (the last was {leader}), {} lines written, none twice", lines.len());
    drop(fleet);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_twice_though_leading_processes_are_killed() {
    kill(3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a campaign of a quarter of an hour: make campaign"]
async fn nothing_is_written_twice_in_a_campaign() {
    kill(std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(1000)).await;
}
