//! Turns at the enclave, an equal share for each client.
//!
//! So many requests are at the enclave at once. The others wait in a line of their own per client, and each turn
//! that ends goes to the next client in the round, not to the next request: a client with many requests waits for
//! its own, and another one for at most one of each.
//!
//! Places to wait are bounded. When all are taken, a client with less than the most gets one at the cost of whoever
//! joined the longest line last: no number of requests of one client keeps another's from waiting.

use super::served::Client;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Too many requests wait, most of them this client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// The turns.
#[derive(Debug)]
pub struct Turns {
    lines: Mutex<Lines>,
    at_once: usize,
    max_waiting: usize,
}

#[derive(Debug)]
struct Lines {
    free: usize,
    waiting: HashMap<Client, VecDeque<oneshot::Sender<Turn>>>,
    /// Every client with a line, each once, in the order of the round.
    round: VecDeque<Client>,
}

/// A turn; dropping it ends it.
#[derive(Debug)]
pub struct Turn {
    turns: Option<Arc<Turns>>,
}

impl Turns {
    /// So many turns at once, and so many requests that wait.
    pub fn new(at_once: usize, max_waiting: usize) -> Arc<Self> {
        let lines = Lines { free: at_once, waiting: HashMap::new(), round: VecDeque::new() };
        Arc::new(Turns { lines: Mutex::new(lines), at_once, max_waiting })
    }

    /// Waits for a turn. A wait that is dropped leaves the line.
    pub async fn take(self: &Arc<Self>, client: Client) -> Result<Turn, TooMany> {
        let granted = {
            let mut lines = self.lines();
            if lines.free > 0 {
                lines.free -= 1;
                return Ok(Turn { turns: Some(self.clone()) });
            }
            lines.forget_those_who_left();
            if lines.number() >= self.max_waiting {
                lines.shorten_for(client)?;
            }
            lines.join(client)
        };
        granted.await.map_err(|_| TooMany)
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        let mut lines = self.lines();
        lines.forget_those_who_left();
        lines.number()
    }

    /// Turns under way, of so many at once.
    pub fn under_way(&self) -> usize {
        self.at_once - self.lines().free
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn join(&mut self, client: Client) -> oneshot::Receiver<Turn> {
        let (grant, granted) = oneshot::channel();
        let line = self.waiting.entry(client).or_default();
        if line.is_empty() {
            self.round.push_back(client);
        }
        line.push_back(grant);
        granted
    }

    fn number(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Ends the newest wait of the longest line, if this client's is at least two shorter: it would be longer itself.
    fn shorten_for(&mut self, client: Client) -> Result<(), TooMany> {
        let own = self.waiting.get(&client).map_or(0, VecDeque::len);
        let longest = self.waiting.values_mut().max_by_key(|line| line.len()).ok_or(TooMany)?;
        if longest.len() < own + 2 {
            return Err(TooMany);
        }
        longest.pop_back();
        Ok(())
    }

    /// The first request of the client whose round it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let client = self.round.pop_front()?;
        let line = self.waiting.get_mut(&client)?;
        let next = line.pop_front();
        match line.is_empty() {
            true => {
                self.waiting.remove(&client);
            }
            false => self.round.push_back(client),
        }
        next
    }

    fn forget_those_who_left(&mut self) {
        self.waiting.retain(|_, line| {
            line.retain(|grant| !grant.is_closed());
            !line.is_empty()
        });
        let waiting = &self.waiting;
        self.round.retain(|client| waiting.contains_key(client));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else { return };
        loop {
            let next = {
                let mut lines = turns.lines();
                lines.forget_those_who_left();
                let next = lines.next();
                if next.is_none() {
                    lines.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Turn { turns: Some(turns.clone()) }) {
                Ok(()) => return,
                // Left at this very moment: its turn goes to the next, without ending.
                Err(mut refused) => drop(refused.turns.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::ids::NodeId;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    fn client(number: u8) -> Client {
        Client::Node(NodeId([number; 32]))
    }

    type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Turn, TooMany>> + 'a>>;

    fn wait(turns: &Arc<Turns>, number: u8) -> Waiting<'_> {
        let mut waiting: Waiting = Box::pin(turns.take(client(number)));
        assert!(poll(&mut waiting).is_none());
        waiting
    }

    fn poll(waiting: &mut Waiting) -> Option<Result<Turn, TooMany>> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_client_with_many_requests_holds_up_another_by_one() {
        let turns = Turns::new(1, 100);
        let first = turns.take(client(1)).await.unwrap();
        let mut greedy: Vec<_> = (0..10).map(|_| wait(&turns, 1)).collect();
        let mut modest = wait(&turns, 2);
        drop(first);
        let turn = poll(&mut greedy[0]).unwrap().unwrap();
        assert!(poll(&mut modest).is_none());
        drop(turn);
        assert!(poll(&mut greedy[1]).is_none());
        assert!(poll(&mut modest).unwrap().is_ok());
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused_and_those_who_left_do_not_count() {
        let turns = Turns::new(1, 2);
        let _first = turns.take(client(1)).await.unwrap();
        let left = wait(&turns, 1);
        let _stays = wait(&turns, 2);
        assert_eq!(turns.take(client(3)).await.err(), Some(TooMany));
        drop(left);
        let _joins = wait(&turns, 3);
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_longest_line_gives_way() {
        let turns = Turns::new(1, 4);
        let first = turns.take(client(1)).await.unwrap();
        let mut greedy: Vec<_> = (0..4).map(|_| wait(&turns, 1)).collect();
        let mut modest = wait(&turns, 2);
        assert_eq!(poll(&mut greedy[3]).unwrap().err(), Some(TooMany), "the one that joined last");
        assert_eq!(turns.take(client(1)).await.err(), Some(TooMany));
        assert_eq!((turns.waiting(), turns.under_way()), (4, 1));
        drop(first);
        let turn = poll(&mut greedy[0]).unwrap().unwrap();
        drop(turn);
        assert!(poll(&mut modest).unwrap().is_ok());
    }

    #[tokio::test]
    async fn as_many_clients_as_places_wait_for_one_turn_each() {
        let turns = Turns::new(1, 3);
        let _first = turns.take(client(1)).await.unwrap();
        let _greedy: Vec<_> = (0..3).map(|_| wait(&turns, 1)).collect();
        let mut modest: Vec<_> = (2..4).map(|number| wait(&turns, number)).collect();
        assert_eq!(
            turns.take(client(4)).await.err(),
            Some(TooMany),
            "three lines of one: all places are taken"
        );
        assert!(modest.iter_mut().all(|waiting| poll(waiting).is_none()));
    }

    #[tokio::test]
    async fn a_turn_granted_to_one_who_left_goes_to_the_next() {
        let turns = Turns::new(1, 10);
        let first = turns.take(client(1)).await.unwrap();
        let granted_and_left = wait(&turns, 1);
        let mut next = wait(&turns, 2);
        drop(first);
        drop(granted_and_left);
        let turn = poll(&mut next).unwrap().unwrap();
        drop(turn);
        assert_eq!(turns.lines().free, 1);
        assert!(turns.lines().waiting.is_empty() && turns.lines().round.is_empty());
    }

    #[tokio::test]
    async fn turns_at_once_never_exceed_their_number() {
        let turns = Turns::new(3, 1000);
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let requests: Vec<_> = (0..200u8)
            .map(|number| {
                let (turns, running) = (turns.clone(), running.clone());
                tokio::spawn(async move {
                    let _turn = turns.take(client(number % 7)).await.unwrap();
                    let now = running.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    now
                })
            })
            .collect();
        let mut most = 0;
        for request in requests {
            most = most.max(request.await.unwrap());
        }
        assert_eq!(most, 3);
        assert_eq!(turns.lines().free, 3);
    }
}
