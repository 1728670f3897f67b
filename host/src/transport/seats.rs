//! Places for connections that nobody vouches for yet.
//!
//! Full rows turn nobody away: they push out one who sits, by chance, of the newcomer's own kind if that has its
//! share. So whoever holds connections open, half-spoken, cannot keep an honest one out: an honest handshake takes
//! milliseconds and rarely meets its chance, and a redial meets a new one.

use ring::rand::{SecureRandom, SystemRandom};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A bounded number of seats; `K` is what counts as one kind, such as an IP address.
#[derive(Debug)]
pub struct Seats<K> {
    rows: Mutex<Rows<K>>,
    max: usize,
    max_per_kind: usize,
}

#[derive(Debug)]
struct Rows<K> {
    taken: Vec<Taken<K>>,
    per_kind: HashMap<K, usize>,
    next: u64,
}

#[derive(Debug)]
struct Taken<K> {
    number: u64,
    kind: K,
    /// Dropped when the seat is lost.
    _hold: oneshot::Sender<()>,
}

/// A seat, given back when dropped.
#[derive(Debug)]
pub struct Seat<K: Copy + Eq + Hash> {
    seats: Arc<Seats<K>>,
    number: u64,
    hold: oneshot::Receiver<()>,
}

impl<K: Copy + Eq + Hash> Seats<K> {
    /// At most `max` seats, `max_per_kind` of them for one kind; both at least 1.
    pub fn new(max: usize, max_per_kind: usize) -> Arc<Self> {
        let rows = Rows { taken: Vec::new(), per_kind: HashMap::new(), next: 0 };
        Arc::new(Seats { rows: Mutex::new(rows), max: max.max(1), max_per_kind: max_per_kind.max(1) })
    }

    /// Takes a seat, and says whether somebody lost one for it.
    pub fn take(self: &Arc<Self>, kind: K) -> (Seat<K>, bool) {
        let mut rows = self.rows();
        let pushed_out = rows.make_room(kind, self.max, self.max_per_kind);
        let (sender, hold) = oneshot::channel();
        let number = rows.next;
        rows.next += 1;
        *rows.per_kind.entry(kind).or_default() += 1;
        rows.taken.push(Taken { number, kind, _hold: sender });
        drop(rows);
        (Seat { seats: self.clone(), number, hold }, pushed_out)
    }

    /// Takes everybody's seat away.
    pub fn clear(&self) {
        let mut rows = self.rows();
        rows.taken.clear();
        rows.per_kind.clear();
    }

    /// Seats taken now.
    pub fn taken(&self) -> usize {
        self.rows().taken.len()
    }

    fn rows(&self) -> MutexGuard<'_, Rows<K>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Rows<K> {
    fn make_room(&mut self, kind: K, max: usize, max_per_kind: usize) -> bool {
        let same = self.per_kind.get(&kind).copied().unwrap_or(0);
        let place = if same >= max_per_kind {
            let of_kind = self.taken.iter().enumerate().filter(|(_, taken)| taken.kind == kind);
            of_kind.map(|(place, _)| place).nth(chance(same))
        } else if self.taken.len() >= max {
            Some(chance(self.taken.len()))
        } else {
            None
        };
        place.map(|place| self.remove(place)).is_some()
    }

    fn remove(&mut self, place: usize) {
        let kind = self.taken.swap_remove(place).kind;
        if let Entry::Occupied(mut count) = self.per_kind.entry(kind) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl<K: Copy + Eq + Hash> Seat<K> {
    /// Waits until somebody else got this seat.
    pub async fn lost(&mut self) {
        let _the_sender_was_dropped = (&mut self.hold).await;
    }
}

impl<K: Copy + Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut rows = self.seats.rows();
        if let Some(place) = rows.taken.iter().position(|taken| taken.number == self.number) {
            rows.remove(place);
        }
    }
}

/// A random number below `bound`; the first, should the system have no randomness: nothing here must be secret.
fn chance(bound: usize) -> usize {
    usize::try_from(roll() % bound.max(1) as u64).unwrap_or(0)
}

/// A random number for jitter and for whom to push out.
pub fn roll() -> u64 {
    let mut bytes = [0; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => 0,
    }
}

/// What counts as one address: of IPv6 the first 64 bits, since whoever has one has them all.
pub fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(seat: &mut Seat<u8>) -> bool {
        !matches!(seat.hold.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    #[test]
    fn the_bounds_hold_and_the_newcomer_always_sits() {
        let seats = Seats::new(8, 3);
        let mut sitting = Vec::new();
        for step in 0..2_000usize {
            sitting.push(seats.take((step * 7 % 5) as u8).0);
            assert!(!is_lost(sitting.last_mut().unwrap()));
            sitting.retain_mut(|seat| !is_lost(seat));
            let rows = seats.rows();
            assert!(rows.taken.len() <= 8 && rows.per_kind.values().all(|count| (1..=3).contains(count)));
            assert_eq!(rows.per_kind.values().sum::<usize>(), rows.taken.len());
            assert_eq!(sitting.len(), rows.taken.len());
        }
    }

    #[test]
    fn a_kind_with_its_share_pushes_out_its_own() {
        let seats = Seats::new(8, 2);
        let (mut honest, _) = seats.take(1);
        let mut flood: Vec<_> = (0..100).map(|_| seats.take(2).0).collect();
        assert_eq!(flood.iter_mut().filter_map(|seat| is_lost(seat).then_some(())).count(), 98);
        assert!(!is_lost(&mut honest));
    }

    #[test]
    fn a_seat_that_was_left_is_free_again() {
        let seats = Seats::new(1, 1);
        for _ in 0..3 {
            let (_seat, pushed_out) = seats.take(1);
            assert!(!pushed_out);
        }
        assert_eq!(seats.taken(), 0);
    }

    #[tokio::test]
    async fn who_loses_a_seat_is_told_and_gives_nothing_back() {
        let seats = Seats::new(1, 1);
        let (mut first, _) = seats.take(1);
        let (second, pushed_out) = seats.take(2);
        assert!(pushed_out);
        first.lost().await;
        drop(first);
        assert_eq!(seats.taken(), 1);
        drop(second);
        assert_eq!(seats.taken(), 0);
    }

    #[test]
    fn one_ipv6_network_counts_as_one_address() {
        let ip = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:1"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
    }
}
