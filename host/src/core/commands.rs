//! What the operator, or a program on this machine, asks of the node.

use nitro_elect_protocol::time::Now;

use super::Core;
use super::event::{Action, Command, LeaseLoss, Notice};

impl Core {
    /// Somebody on this machine wants something.
    pub(super) fn on_command(&mut self, command: Command, now: Now) {
        match command {
            Command::StepDown { to } => {
                if let Err(why) = self.part_with_lease(to, true, now) {
                    self.out.push(Action::Notice(Notice::CannotStepDown(why)));
                }
            }
            Command::Drain(draining) => self.flags.draining = draining,
            Command::Unhealthy(unhealthy) => self.flags.unhealthy = unhealthy,
            Command::Working(runs) => self.on_working(runs, now),
            Command::Prove(nonce) => self.on_nonces(None, vec![nonce], now),
            Command::Stop => self.stop(now),
        }
    }

    /// The process is to end: whatever it holds is given up, whether or not somebody else can take over. Work that
    /// still runs is the exception: it may outlive the process, so its lease is left to end by itself.
    fn stop(&mut self, now: Now) {
        self.flags.draining = true;
        self.stop_leading(LeaseLoss::SteppedDown);
        self.resign(None, now);
        self.emit_heartbeat(now);
    }
}
