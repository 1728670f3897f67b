//! The enclave's image boots, and a cluster elects by it: every line that runs on Nitro runs here.
//!
//! `make boot` runs this and shows what it sees. It needs QEMU, the vsock device and an image for emulation, which
//! `make deps` and `make emulated-eif` bring.
#![allow(clippy::unwrap_used)]

mod cluster;

use cluster::Cluster;
use nitro_elect::simulated::SimulatedPki;
use nitro_elect_emulation::image::Image;
use nitro_elect_emulation::machine::{Machine, QEMU, VSOCK_DEVICE};
use nitro_elect_protocol::time::Wall;
use nitro_elect_tests::skip::skip;
use std::env;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where the image is, if it is not where `make boot` puts it.
const IMAGE: &str = "NITRO_ELECT_EIF";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_boots_and_elects_and_its_successor_elects_again() {
    let Some(image) = image() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pki = SimulatedPki::generate().unwrap();
    say(&format!("the image measures to PCR0 {}", image.measurements.pcr0));

    let first = boot(&image, &pki, directory.path(), "first");
    say_garbage(&first);
    let mut cluster = Cluster::new(directory.path(), &image, &pki);
    cluster.point_to(&first.vsock());
    cluster.start().await;
    let elected = cluster.agreement(1).await;
    say(&format!("elected: {} in term {}", elected.leader, elected.term));
    let proof = cluster.verified_proof(&elected).await;
    say(&format!("its proof is VALID and SIMULATED, signed by enclave {}", proof.enclave));

    drop(first);
    say("the first machine is killed");
    let second = boot(&image, &pki, directory.path(), "second");
    cluster.point_to(&second.vsock());
    assert_eq!(cluster.agreement(1).await, elected, "a leader outlives its enclave");
    cluster.kill(&elected.leader);
    say(&format!("{} led on in term {} without an enclave; now it is killed", elected.leader, elected.term));

    let again = cluster.agreement(elected.term + 1).await;
    say(&format!("elected: {} in term {}", again.leader, again.term));
    assert_ne!(again.leader, elected.leader);
    let next = cluster.verified_proof(&again).await;
    assert_ne!(next.enclave, proof.enclave, "each boot has keys of its own");
    say(&format!("its proof is VALID and SIMULATED, signed by enclave {}", next.enclave));
    assert!(!second.console().to_lowercase().contains("panic"), "{}", second.console());
}

/// The image, unless something that it needs is not on this machine.
fn image() -> Option<Image> {
    let found = |program: &str| {
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders).any(|folder| folder.join(program).is_file())
    };
    for program in [QEMU, VSOCK_DEVICE] {
        if !found(program) {
            skip(program, "make deps");
            return None;
        }
    }
    let path =
        env::var_os(IMAGE).map_or_else(|| built().join("emulation/nitro-elect-emulation.eif"), PathBuf::from);
    if !path.is_file() {
        skip("an image for emulation", "make deps emulated-eif");
        return None;
    }
    Some(Image::read(&path).unwrap())
}

/// The folder of what was built, found from this very program in it.
fn built() -> PathBuf {
    let this = env::current_exe().unwrap();
    this.ancestors().nth(3).unwrap().to_owned()
}

fn boot(image: &Image, pki: &SimulatedPki, directory: &Path, name: &str) -> Machine {
    let pki = SimulatedPki::from_pem(&pki.to_pem()).unwrap();
    let machine = Machine::boot(image, pki, now, &directory.join(name)).unwrap();
    let console = machine.console();
    let told = console.lines().find(|line| line.starts_with("nitro-elect-enclave:")).unwrap_or(&console);
    assert!(told.contains("serves vsock port 5005"), "{console}");
    say(&format!("the {name} machine is up after {:.1} s and says: {told}", machine.boot_time.as_secs_f32()));
    machine
}

/// Whatever a client sends, the console that the host reads stays as it is.
fn say_garbage(machine: &Machine) {
    let before = machine.console();
    for garbage in [&b"\0\0\0\x07GARBAGE"[..], b"\xff\xff\xff\xffGARBAGE", b"GARBAGE"] {
        let mut stream = UnixStream::connect(machine.vsock()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"CONNECT 5005\n").unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"OK ");
        stream.write_all(garbage).unwrap();
        let mut answered = [0; 16];
        assert!(stream.read(&mut answered).unwrap() > 0);
    }
    assert_eq!(machine.console(), before);
}

fn now() -> Wall {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Wall(u64::try_from(since.as_millis()).unwrap())
}

fn say(text: &str) {
    println!("boot: {text}");
}
