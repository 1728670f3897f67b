//! One emulated machine: QEMU, the vsock device, the security module, and a parent that hears the heartbeat.
//!
//! QEMU and the vsock device are processes. They end with this one, however it ends, and with the value that stands
//! for them.

use anyhow::{Context, ensure};
use nitro_elect::simulated::SimulatedPki;
use nitro_elect_protocol::time::Wall;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::image::Image;
use crate::nsm::EmulatedNsm;
use crate::{archive, device, driver, tsc};

/// What runs the machine and its vsock device.
pub const QEMU: &str = "qemu-system-x86_64";
/// The vsock device.
pub const VSOCK_DEVICE: &str = "vhost-device-vsock";
/// The guest's memory in MiB: what the service is promised to run in.
const MEMORY: u32 = 128;
/// The guest's context id; any but the host's would do.
const GUEST_CID: u32 = 16;
/// The byte and the port by which an enclave says that it is up.
const HEARTBEAT: u8 = 0xb7;
const HEARTBEAT_PORT: u32 = 9000;
/// The driver in the image that must drive the emulated device instead of the real one.
const DRIVER: &str = "-nsm.ko";
/// How long a boot may take on a busy machine; it takes 5 s on an idle one.
const PATIENCE: Duration = Duration::from_secs(180);
const STEP: Duration = Duration::from_millis(20);
/// How often the parent waits again for a byte that is not there yet.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the kernel is told beyond the image's own line, because it is not on Nitro: where its parent is, that QEMU
/// ends when it restarts, and that timers are late. The rate of the counter is added.
const EMULATION: &str = "nitro_elect.parent_cid=2 reboot=t panic=-1 no_timer_check";

/// A machine whose enclave has said that it is up.
pub struct Machine {
    processes: Vec<Process>,
    directory: PathBuf,
    /// How long the enclave took to say so.
    pub boot_time: Duration,
}

/// A process that ends with its value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    /// Boots an image with a module that signs under this root, and waits until the enclave says that it is up. The
    /// directory is new; it gets the machine's sockets and its console.
    pub fn boot(
        image: &Image,
        pki: SimulatedPki,
        clock: fn() -> Wall,
        directory: &Path,
    ) -> anyhow::Result<Machine> {
        let began = Instant::now();
        fs::create_dir(directory)?;
        let parent = UnixListener::bind(directory.join(format!("vm.vsock_{HEARTBEAT_PORT}")))?;
        device::serve(EmulatedNsm::new(pki, image.measurements.clone(), clock), &directory.join("nsm.sock"))?;
        let vsock = start(&mut vsock_device(directory), directory)?;
        until_there(&directory.join("vhost.sock"))?;
        let qemu = start(&mut qemu(image, directory)?, directory)?;
        let mut machine =
            Machine { processes: vec![qemu, vsock], directory: directory.into(), boot_time: Duration::ZERO };
        machine.hear(&parent).with_context(|| format!("the console says:\n{}", machine.console()))?;
        machine.boot_time = began.elapsed();
        Ok(machine)
    }

    /// The socket behind which the guest's vsock ports are.
    pub fn vsock(&self) -> PathBuf {
        self.directory.join("vm.vsock")
    }

    /// What the guest has printed so far.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.directory.join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn is_running(&mut self) -> bool {
        self.processes.iter_mut().all(|process| matches!(process.0.try_wait(), Ok(None)))
    }

    /// Waits for the heartbeat and sends it back.
    fn hear(&mut self, parent: &UnixListener) -> anyhow::Result<()> {
        parent.set_nonblocking(true)?;
        let end = Instant::now() + PATIENCE;
        let mut stream = loop {
            match parent.accept() {
                Ok((stream, _)) => break stream,
                Err(_) => {
                    ensure!(Instant::now() < end, "the enclave did not come up in {} s", PATIENCE.as_secs())
                }
            }
            ensure!(self.is_running(), "the machine ended");
            sleep(STEP);
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(HEARTBEAT_TIMEOUT))?;
        let mut byte = [0];
        stream.read_exact(&mut byte).context("the enclave sent no heartbeat")?;
        ensure!(byte == [HEARTBEAT], "the heartbeat is {byte:02x?}");
        stream.write_all(&byte)?;
        Ok(())
    }
}

fn vsock_device(directory: &Path) -> Command {
    let mut command = bound_to_us(VSOCK_DEVICE);
    command.arg("--guest-cid").arg(GUEST_CID.to_string());
    command.arg("--socket").arg(directory.join("vhost.sock"));
    command.arg("--uds-path").arg(directory.join("vm.vsock"));
    command
}

fn qemu(image: &Image, directory: &Path) -> anyhow::Result<Command> {
    let file = |name: &str, contents: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, contents).map(|()| path)
    };
    let kernel = file("kernel", &image.kernel)?;
    let ramdisk = file("ramdisk", &ramdisk(image)?)?;
    let line = format!("{} {EMULATION} tsc_early_khz={}", image.command_line, tsc::kilohertz());
    let mut command = bound_to_us(QEMU);
    command.args([
        "-M",
        "microvm,accel=tcg,pit=on,pic=on,rtc=on,memory-backend=mem",
        "-cpu",
        "max",
        "-smp",
        "1",
    ]);
    command.args(["-m", &format!("{MEMORY}M"), "-object"]);
    command.arg(format!("memory-backend-memfd,id=mem,size={MEMORY}M,share=on"));
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.args(["-serial", &format!("file:{}", directory.join("console.log").display())]);
    command.args(["-global", "virtio-mmio.force-legacy=false"]);
    command.args(["-chardev", &format!("socket,id=vsock,path={}", directory.join("vhost.sock").display())]);
    command.args(["-device", "vhost-user-vsock-device,chardev=vsock"]);
    command.args(["-chardev", &format!("socket,id=nsm,path={}", directory.join("nsm.sock").display())]);
    command.args(["-device", "vhost-user-rng,chardev=nsm"]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(ramdisk).args(["-append", &line]);
    Ok(command)
}

/// The image's ramdisks as they are, and one more that replaces a driver.
fn ramdisk(image: &Image) -> anyhow::Result<Vec<u8>> {
    let mut ramdisk = image.ramdisks.concat();
    let (name, module) = archive::find(&ramdisk, DRIVER).context("the image has no nsm module to replace")?;
    let replacement = archive::of_one(name, &driver::for_emulation(module)?);
    ramdisk.extend_from_slice(&replacement);
    Ok(ramdisk)
}

/// A command whose process dies when the thread that starts it ends.
fn bound_to_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

fn start(command: &mut Command, directory: &Path) -> anyhow::Result<Process> {
    let log = File::options().create(true).append(true).open(directory.join("machine.log"))?;
    let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Process(command.spawn().with_context(|| format!("cannot start {command:?}"))?))
}

fn until_there(path: &Path) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    while !path.exists() {
        ensure!(Instant::now() < end, "{} did not appear", path.display());
        sleep(STEP);
    }
    Ok(())
}
