//! How far a search looks.

/// The bounds of a search. What lies beyond is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Whether it begins when the first voter leads in term 1 and has renewed, instead of when all have just started.
    pub led: bool,
    /// How often time goes on.
    pub ticks: u32,
    /// The highest term that is called.
    pub terms: u64,
    /// Different calls of Byzantine voters.
    pub calls: u32,
    /// Restarts of honest voters, of all together.
    pub restarts: u32,
    /// How often an honest voter is late for a tick or sleeps through it, of all together.
    pub sleeps: u32,
    /// How often leaders step down of their own accord.
    pub step_downs: u32,
    /// Whether answers to calls and renewals may be lost.
    pub losses: bool,
    /// Whether proxies hand in elections with one of their views dropped.
    pub dropped_views: bool,
    /// States after which a search ends unfinished.
    pub states: u64,
}

impl Bounds {
    /// Two terms, and nothing that goes wrong but a Byzantine voter that calls once.
    pub fn small() -> Self {
        Bounds {
            led: false,
            ticks: 1,
            terms: 2,
            calls: 1,
            restarts: 0,
            sleeps: 0,
            step_downs: 0,
            losses: false,
            dropped_views: false,
            states: u64::MAX,
        }
    }
}
