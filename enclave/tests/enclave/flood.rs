//! A flood against the service in a process of its own, whose memory, threads and descriptors are measured.

use nitro_elect_enclave::limits::{FRAME_TIMEOUT, REFUSALS_MAX};
use nitro_elect_enclave::server::{runtime, serve};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::enclave_api::{Request, Response};
use nitro_elect_protocol::limits::{ENCLAVE_CONNECTIONS_MAX, ENCLAVE_IN_FLIGHT_MAX, MESSAGE_MAX};
use nitro_elect_protocol::peer::{Envelope, open_envelope, seal_envelope};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{available_parallelism, scope, sleep};
use std::time::{Duration, Instant};
use tokio::net::UnixListener;

use crate::module::service;

const SOCKET: &str = "NITRO_ELECT_FLOODED_SOCKET";
const CONNECTIONS: usize = 10_000;
/// Descriptors that the test needs beside its connections.
const OWN_DESCRIPTORS: u64 = 500;
/// What reading requests may take beyond the bytes in flight: decoded forms, and pages that the allocator keeps.
const DECODING: usize = 32 << 20;
/// Beyond its connections: standard streams, the listener, the reactor's.
const OTHER_DESCRIPTORS: usize = 16;
/// How long a client tries to send what nobody reads.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(30);

#[test]
#[ignore = "it is the server of the flood below, which starts it"]
fn the_server_of_the_flood() {
    let socket = env::var_os(SOCKET).expect("the flood names a socket");
    runtime()
        .unwrap()
        .block_on(async { match serve(UnixListener::bind(socket).unwrap(), Arc::new(service())).await {} })
}

#[test]
fn a_flood_is_bounded_in_memory_threads_and_descriptors_and_others_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path().join("enclave"));
    let mut honest = server.connect().unwrap();
    assert!(is_served(&mut honest), "before the flood");
    let before = server.memory("VmRSS");

    let (is_over, socket) = (AtomicBool::new(false), &server.socket);
    let worst = scope(|scope| {
        let served = scope.spawn(|| {
            let mut worst = Duration::ZERO;
            while !is_over.load(SeqCst) {
                let asked = Instant::now();
                assert!(is_served(&mut honest), "during the flood");
                worst = worst.max(asked.elapsed());
                sleep(Duration::from_millis(5));
            }
            worst
        });
        for frame in [half_a_frame(), huge_counts(), million_of_nothing(), vec![0xff; MESSAGE_MAX]] {
            hoard(socket, &frame);
        }
        storm(&server);
        is_over.store(true, SeqCst);
        served.join().unwrap()
    });

    assert!(worst < FRAME_TIMEOUT, "an honest request took {worst:?}");
    let grown = server.memory("VmHWM").saturating_sub(before);
    assert!(grown <= ENCLAVE_IN_FLIGHT_MAX + DECODING, "grown by {} KiB", grown >> 10);
    assert!(server.threads() <= 2 + 2 * available_parallelism().unwrap().get() + 1);
    println!("worst answer {worst:?}, memory {} KiB and {} KiB more", before >> 10, grown >> 10);
    let late = Instant::now() + LATE;
    while !server.connect().is_ok_and(|mut stream| is_served(&mut stream)) {
        assert!(Instant::now() < late, "newcomers are served after the flood");
    }
}

/// Connections that each send as much of a frame as is taken, all held at once.
fn hoard(socket: &Path, frame: &[u8]) {
    let mut held: Vec<UnixStream> = Vec::new();
    scope(|scope| {
        for _ in 0..2 * ENCLAVE_CONNECTIONS_MAX {
            let stream = UnixStream::connect(socket).unwrap();
            stream.set_write_timeout(Some(SEND_TIMEOUT)).unwrap();
            let mut sender = stream.try_clone().unwrap();
            held.push(stream);
            // It is refused, or not read to its end: as the server likes.
            scope.spawn(move || drop(sender.write_all(frame)));
        }
    });
}

/// Ten thousand connections, as many of them at once as this system lets one process have.
fn storm(server: &Server) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let at_once = usize::try_from(hard - OWN_DESCRIPTORS).unwrap().min(CONNECTIONS);
    let mut made = 0;
    while made < CONNECTIONS {
        let held: Vec<UnixStream> = (0..at_once).map(|_| server.connect().unwrap()).collect();
        for (index, mut stream) in held.iter().enumerate() {
            let beginnings = [&[][..], &[0, 0], &[0, 16, 0, 0, 0x9b], &[0xff; 64]];
            // Most of them have been closed by now.
            let _ = stream.write_all(beginnings[index % beginnings.len()]);
        }
        server.check_descriptors();
        made += held.len();
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// All of a message of the greatest length but its last byte.
fn half_a_frame() -> Vec<u8> {
    let mut frame = framed(&vec![0; MESSAGE_MAX]);
    frame.pop();
    frame
}

/// Arrays that claim 2^64 - 1 elements, each in the one before.
fn huge_counts() -> Vec<u8> {
    let claims = [&[0x9b][..], &[0xff; 8]].concat().repeat(100_000);
    framed(&codec::encode(&Envelope { v: 1, body: claims }))
}

/// A list of nearly as many empty lists as a message has bytes.
fn million_of_nothing() -> Vec<u8> {
    let count = MESSAGE_MAX - 64;
    let list = [&[0x9a][..], &u32::try_from(count).unwrap().to_be_bytes(), &vec![0x80; count]].concat();
    framed(&codec::encode(&Envelope { v: 1, body: list }))
}

fn is_served(stream: &mut UnixStream) -> bool {
    let ask = || -> io::Result<Response> {
        stream.write_all(&framed(&seal_envelope(&Request::Health)))?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer)?;
        open_envelope(&answer).map_err(|_| ErrorKind::InvalidData.into())
    };
    matches!({ ask }(), Ok(Response::Health(_)))
}

/// The service in another process. Dropping it ends it.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(socket: PathBuf) -> Server {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "flood::the_server_of_the_flood", "--ignored", "--nocapture"]);
        let command = command.env(SOCKET, &socket).stdin(Stdio::null()).stdout(Stdio::null());
        let server = Server { child: command.spawn().unwrap(), socket };
        let late = Instant::now() + LATE;
        while server.connect().is_err() {
            assert!(Instant::now() < late, "the server did not start");
            sleep(Duration::from_millis(10));
        }
        server
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(LATE))?;
        Ok(stream)
    }

    fn place(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }

    fn number(&self, field: &str) -> usize {
        let status = fs::read_to_string(self.place("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// In bytes.
    fn memory(&self, field: &str) -> usize {
        self.number(field) << 10
    }

    fn threads(&self) -> usize {
        self.number("Threads")
    }

    /// Sockets, what the reactor waits with, the standard streams: nothing else is ever open, and not too many.
    fn check_descriptors(&self) {
        let open: Vec<String> = fs::read_dir(self.place("fd"))
            .unwrap()
            // One that was closed since the list was made is no longer open.
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .map(|target| target.display().to_string())
            .collect();
        assert!(open.len() <= ENCLAVE_CONNECTIONS_MAX + REFUSALS_MAX + OTHER_DESCRIPTORS, "{}", open.len());
        let is_needed = |target: &&String| {
            ["socket:", "anon_inode:[event", "pipe:", "/dev/"].iter().any(|kind| target.starts_with(kind))
        };
        let standard = |number| fs::read_link(self.place(&format!("fd/{number}"))).unwrap_or_default();
        let streams = [0, 1, 2].map(|number| standard(number).display().to_string());
        let others: Vec<_> =
            open.iter().filter(|target| !is_needed(target) && !streams.contains(target)).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
