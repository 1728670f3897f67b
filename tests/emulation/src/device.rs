//! The security module as a virtio device that QEMU shows to its guest (the vhost-user protocol).
//!
//! The driver puts two chains on the one queue, a request to read and room for the answer, and expects them back in
//! that order. It asks for random bytes while it is still being set up, so its first knock can come before QEMU has
//! switched the queue on, and is lost; the driver would wait two minutes for an answer. So the device also looks by
//! itself, at short intervals. One device serves one boot: it ends when QEMU hangs up.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vhost::vhost_user::Listener;
use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost_user_backend::{VhostUserBackendMut, VhostUserDaemon, VringRwLock, VringT};
use virtio_queue::{DescriptorChain, QueueOwnedT, QueueT};
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic, GuestMemoryLoadGuard, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use crate::nsm::EmulatedNsm;

/// What QEMU's device has at most.
const QUEUE_SIZE: usize = 1024;
/// The largest request that the driver sends (aws-nitro-enclaves-nsm-api, `NSM_REQUEST_MAX_SIZE`).
const REQUEST_MAX: u64 = 0x1000;
/// How often the device looks by itself.
const INTERVAL: Duration = Duration::from_millis(50);
/// The event that it does so at: any number above those of the queue and of the exit.
const LOOK: u16 = 2;
/// Virtio 1.0 and later, the only kind there is.
const VIRTIO_F_VERSION_1: u64 = 1 << 32;

type Memory = GuestMemoryAtomic<GuestMemoryMmap>;
type Chain = DescriptorChain<GuestMemoryLoadGuard<GuestMemoryMmap>>;

/// Serves the module at a socket, to the QEMU that connects, on threads of its own.
pub fn serve(nsm: EmulatedNsm, socket: &Path) -> io::Result<()> {
    let listener = Listener::new(socket, true).map_err(io::Error::other)?;
    let memory = Memory::new(GuestMemoryMmap::new());
    let mut interval = TimerFd::new()?;
    interval.reset(INTERVAL, Some(INTERVAL))?;
    let (ticks, exit) = (interval.as_raw_fd(), EventFd::new(EFD_NONBLOCK)?);
    let told = exit.try_clone()?;
    let device = Device { nsm, memory: memory.clone(), waiting: VecDeque::new(), interval, exit };
    let mut daemon = VhostUserDaemon::new("nsm".into(), Arc::new(Mutex::new(device)), memory)
        .map_err(|error| io::Error::other(error.to_string()))?;
    for handler in daemon.get_epoll_handlers() {
        handler.register_listener(ticks, EventSet::IN, LOOK.into())?;
    }
    thread::Builder::new().name("nsm device".into()).spawn(move || {
        // However QEMU ended: the guest sees a dead module, and the test says so.
        let _ = daemon.start(listener).and_then(|()| daemon.wait());
        let _ = told.write(1);
    })?;
    Ok(())
}

struct Device {
    nsm: EmulatedNsm,
    memory: Memory,
    /// Chains that came and were not given back.
    waiting: VecDeque<Chain>,
    interval: TimerFd,
    exit: EventFd,
}

impl VhostUserBackendMut for Device {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        1
    }

    fn max_queue_size(&self) -> usize {
        QUEUE_SIZE
    }

    fn features(&self) -> u64 {
        VIRTIO_F_VERSION_1 | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ
    }

    fn set_event_idx(&mut self, _enabled: bool) {}

    fn update_memory(&mut self, memory: Memory) -> io::Result<()> {
        self.memory = memory;
        Ok(())
    }

    fn exit_event(&self, _thread: usize) -> Option<EventFd> {
        self.exit.try_clone().ok()
    }

    fn handle_event(&mut self, event: u16, _: EventSet, vrings: &[VringRwLock], _: usize) -> io::Result<()> {
        if event == LOOK {
            self.interval.wait().map_err(io::Error::from)?;
        }
        let vring = vrings.first().ok_or(io::ErrorKind::InvalidInput)?;
        if !vring.get_ref().get_queue().ready() {
            return Ok(());
        }
        let memory = self.memory.memory();
        self.waiting.extend(vring.get_mut().get_queue_mut().iter(memory).map_err(io::Error::other)?);
        while self.waiting.len() >= 2 {
            let pair = (self.waiting.pop_front(), self.waiting.pop_front());
            let (Some(question), Some(answer)) = pair else { break };
            self.exchange(vring, question, answer)?;
        }
        Ok(())
    }
}

impl Device {
    fn exchange(&self, vring: &VringRwLock, question: Chain, answer: Chain) -> io::Result<()> {
        let memory = self.memory.memory();
        let (question_head, answer_head) = (question.head_index(), answer.head_index());
        let mut request = Vec::new();
        let reader = question.reader(&memory).map_err(io::Error::other)?;
        reader.take(REQUEST_MAX).read_to_end(&mut request)?;
        let response = self.nsm.handle(&request);
        answer.writer(&memory).map_err(io::Error::other)?.write_all(&response)?;
        let written = u32::try_from(response.len()).map_err(io::Error::other)?;
        vring.add_used(question_head, 0).map_err(io::Error::other)?;
        vring.add_used(answer_head, written).map_err(io::Error::other)?;
        vring.signal_used_queue()
    }
}
