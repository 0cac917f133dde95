//! How many requests are under way at once: fewer when the server says that they are too many, more again when it does not.
//!
//! S3 answers 503 (`SlowDown`) while it spreads a busy prefix over more machines; retries alone would keep up the pressure.
//! Additive increase, multiplicative decrease, as in TCP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What is left after a refusal.
const DECREASE: f64 = 0.7;
/// Refusals closer together are of one burst, and count once.
const BURST: Duration = Duration::from_millis(100);
/// However busy the server is.
const LEAST: f64 = 4.0;

/// The bound of one bucket's client for bytes; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Throttle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    released: Notify,
}

#[derive(Debug)]
struct State {
    most: f64,
    /// Requests that may be under way.
    limit: f64,
    under_way: usize,
    decreased: Option<Instant>,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Permit(Throttle);

impl Throttle {
    /// Up to `most` requests at once.
    pub(super) fn new(most: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of requests is small")]
        let most = (most as f64).max(LEAST);
        let state = State { most, limit: most, under_way: 0, decreased: None };
        Self(Arc::new(Shared { state: Mutex::new(state), released: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another request may be made.
    pub(super) async fn acquire(&self) -> Permit {
        loop {
            let released = self.0.released.notified();
            if self.state().begin() {
                return Permit(self.clone());
            }
            released.await;
        }
    }

    /// A request was answered.
    pub(super) fn told(&self, is_too_many: bool, now: Instant) {
        self.state().told(is_too_many, now);
    }
}

impl State {
    fn begin(&mut self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a number of requests is small")]
        let is_free = (self.under_way as f64) < self.limit;
        self.under_way += usize::from(is_free);
        is_free
    }

    fn told(&mut self, is_too_many: bool, now: Instant) {
        if !is_too_many {
            // One more for each round of requests that went well.
            self.limit = (self.limit + 1.0 / self.limit).min(self.most);
        } else if self.decreased.is_none_or(|at| now.saturating_duration_since(at) >= BURST) {
            self.limit = (self.limit * DECREASE).max(LEAST);
            self.decreased = Some(now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.0.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(throttle: &Throttle) -> f64 {
        throttle.state().limit
    }

    #[test]
    fn refusals_lower_the_bound_once_a_burst_and_what_goes_well_raises_it_again() {
        let throttle = Throttle::new(100);
        let now = Instant::now();
        for _ in 0..50 {
            throttle.told(true, now);
        }
        assert!((limit(&throttle) - 70.0).abs() < 0.1, "one burst");
        for burst in 1..100 {
            throttle.told(true, now + BURST * burst);
        }
        assert!((limit(&throttle) - LEAST).abs() < f64::EPSILON, "it never stops");
        for _ in 0..10_000 {
            throttle.told(false, now);
        }
        assert!((limit(&throttle) - 100.0).abs() < 0.1, "it comes back and no further");
    }

    #[tokio::test]
    async fn no_more_are_under_way_than_may_be() {
        let throttle = Throttle::new(4);
        let mut permits = Vec::new();
        for _ in 0..4 {
            permits.push(throttle.acquire().await);
        }
        let waiting = tokio::spawn({
            let throttle = throttle.clone();
            async move { drop(throttle.acquire().await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        permits.pop();
        assert!(waiting.await.is_ok());
    }
}
