//! The connections that have not authenticated yet.
//!
//! A full pool turns nobody away: it pushes out one of those it holds, by chance, from the newcomer's own IP address
//! if that has its share. So whoever holds connections open, half-spoken, cannot keep a voter out: an honest
//! handshake takes milliseconds and rarely meets its chance, and redials meet new ones.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// One connection in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The pool; `T` is what it takes to end a connection.
#[derive(Debug)]
pub struct Strangers<T> {
    held: Vec<(Ticket, IpAddr, T)>,
    per_ip: HashMap<IpAddr, usize>,
    max: usize,
    max_per_ip: usize,
    next: u64,
}

impl<T> Strangers<T> {
    /// A pool of at most `max` connections, `max_per_ip` of them from one address.
    pub fn new(max: usize, max_per_ip: usize) -> Self {
        Strangers { held: Vec::new(), per_ip: HashMap::new(), max, max_per_ip, next: 0 }
    }

    /// Makes room for a connection from `ip`: returns the one to end for it, if any. `roll` is a random number.
    pub fn make_room(&mut self, ip: IpAddr, roll: u64) -> Option<T> {
        let ip = neighbourhood(ip);
        let same_ip = self.per_ip.get(&ip).copied().unwrap_or(0);
        let victim = if same_ip >= self.max_per_ip {
            let places = (0..self.held.len()).filter(|place| self.held[*place].1 == ip);
            places.clone().nth(usize::try_from(roll % same_ip.max(1) as u64).unwrap_or(0))
        } else if self.held.len() >= self.max {
            usize::try_from(roll % self.held.len().max(1) as u64).ok()
        } else {
            None
        };
        victim.map(|place| self.remove(place))
    }

    /// Takes in a connection, after [`Strangers::make_room`].
    pub fn enter(&mut self, ip: IpAddr, end: impl FnOnce(Ticket) -> T) {
        let ip = neighbourhood(ip);
        let ticket = Ticket(self.next);
        self.next += 1;
        *self.per_ip.entry(ip).or_default() += 1;
        self.held.push((ticket, ip, end(ticket)));
    }

    /// Lets a connection go; false if it had been pushed out before.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let place = self.held.iter().position(|(held, ..)| *held == ticket);
        place.map(|place| self.remove(place)).is_some()
    }

    /// Lets all go; what it takes to end each.
    pub fn clear(&mut self) -> impl Iterator<Item = T> {
        self.per_ip.clear();
        std::mem::take(&mut self.held).into_iter().map(|(.., end)| end)
    }

    fn remove(&mut self, place: usize) -> T {
        let (_, ip, end) = self.held.swap_remove(place);
        if let std::collections::hash_map::Entry::Occupied(mut count) = self.per_ip.entry(ip) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        end
    }
}

/// What counts as one address: of IPv6 the first 64 bits, since whoever has one has them all.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn enter(pool: &mut Strangers<Ticket>, from: u8, roll: u64) -> (Ticket, Option<Ticket>) {
        let out = pool.make_room(ip(from), roll);
        let mut entered = None;
        pool.enter(ip(from), |ticket| *entered.insert(ticket));
        (entered.unwrap(), out)
    }

    #[test]
    fn the_pool_never_exceeds_its_bounds_and_always_takes_the_newcomer() {
        let mut pool = Strangers::new(8, 3);
        for step in 0..10_000u64 {
            let (entered, _) =
                enter(&mut pool, (step * 7 % 5) as u8, step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            assert!(pool.held.iter().any(|(held, ..)| *held == entered));
            assert!(pool.held.len() <= 8);
            assert!(pool.per_ip.values().all(|count| (1..=3).contains(count)));
            assert_eq!(pool.per_ip.values().sum::<usize>(), pool.held.len());
        }
    }

    #[test]
    fn an_address_with_its_share_pushes_out_its_own() {
        let mut pool = Strangers::new(8, 2);
        let (honest, _) = enter(&mut pool, 1, 0);
        let flood: Vec<_> = (0..100).map(|roll| enter(&mut pool, 2, roll)).collect();
        assert_eq!(flood.iter().filter(|(_, out)| out.is_some()).count(), 98);
        assert!(flood.iter().all(|(_, out)| *out != Some(honest)));
        assert!(pool.leave(honest));
    }

    #[test]
    fn one_ipv6_network_counts_as_one_address() {
        let ip = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:1"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
    }

    #[test]
    fn who_was_pushed_out_is_told_when_it_leaves() {
        let mut pool = Strangers::new(1, 1);
        let (first, _) = enter(&mut pool, 1, 0);
        let (second, out) = enter(&mut pool, 2, 0);
        assert_eq!(out, Some(first));
        assert!(!pool.leave(first));
        assert!(pool.leave(second));
        assert_eq!(pool.held.len(), 0);
        assert!(pool.per_ip.is_empty());
    }
}
