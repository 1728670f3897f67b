//! Free ports on loopback for a cluster that names its addresses before it starts.
//!
//! The system's own choice of a free port does not serve: it lies among those that it gives to connections, so that
//! a node's port could be taken by another node's dial before the node listens. Blocks lie below, and their first
//! port is kept, so that no two users of this module ever share one.

use ring::rand::{SecureRandom, SystemRandom};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Ports in a block.
pub const BLOCK: u16 = 64;
/// Where blocks lie: below what Linux gives to connections (`net.ipv4.ip_local_port_range`, 32768 up).
const RANGE: Range<u16> = 20_032..32_704;

/// No block is free.
#[derive(Debug, thiserror::Error)]
#[error("no {BLOCK} neighbouring ports are free on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end)]
pub struct NoPorts;

/// Neighbouring ports that were free when they were looked at.
#[derive(Debug)]
pub struct Ports {
    next: u16,
    end: u16,
    _first: TcpListener,
}

impl Ports {
    /// Finds a block, from a random place on.
    pub fn find() -> Result<Self, NoPorts> {
        let blocks = (RANGE.end - RANGE.start) / BLOCK;
        let start = roll() % blocks;
        let mut tried = (0..blocks).map(|step| RANGE.start + (start + step) % blocks * BLOCK);
        tried.find_map(|base| Self::take(base).ok()).ok_or(NoPorts)
    }

    fn take(base: u16) -> io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, base))?;
        for port in base + 1..base + BLOCK {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        }
        Ok(Ports { next: base + 1, end: base + BLOCK, _first: first })
    }

    /// The first of `count` neighbouring ports that were given to nobody yet.
    pub fn some(&mut self, count: u16) -> Result<u16, NoPorts> {
        let first = self.next;
        self.next = first.checked_add(count).filter(|next| *next <= self.end).ok_or(NoPorts)?;
        Ok(first)
    }
}

/// A random number, so that those who look at the same moment begin at different places.
fn roll() -> u16 {
    let mut bytes = [0; 2];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u16::from_ne_bytes(bytes),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let (mut one, mut other) = (Ports::find().unwrap(), Ports::find().unwrap());
        let (a, b, c) = (one.some(4).unwrap(), one.some(1).unwrap(), other.some(4).unwrap());
        assert_eq!(b, a + 4);
        assert!(c.abs_diff(a) >= BLOCK, "{a} and {c} are of one block");
        TcpListener::bind((Ipv4Addr::LOCALHOST, a)).unwrap();
    }

    #[test]
    fn a_block_ends() {
        let mut ports = Ports::find().unwrap();
        assert!(ports.some(BLOCK).is_err());
        ports.some(BLOCK - 1).unwrap();
        assert!(ports.some(1).is_err());
    }
}
