//! Limits concurrent requests. The limit decreases when the server reports overload, and increases
//! again after successes.
//!
//! S3 answers 503 (`SlowDown`) while it spreads a busy prefix over more machines; retries alone
//! would not lower the load. The limit follows additive increase, multiplicative decrease, as in
//! TCP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Factor by which the limit is multiplied after an overload response.
const DECREASE: f64 = 0.7;
/// Time after a decrease during which further overload responses do not lower the limit again,
/// because they count as the same burst.
const BURST: Duration = Duration::from_millis(100);
/// Lower bound of the limit.
const MIN_LIMIT: f64 = 4.0;

/// Limit on concurrent requests of one bucket's `object_store` client. Clones share the limit.
#[derive(Debug, Clone)]
pub(super) struct Throttle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    released: Notify,
}

#[derive(Debug)]
struct State {
    max: f64,
    /// Current maximum number of requests in flight.
    limit: f64,
    in_flight: usize,
    decreased_at: Option<Instant>,
}

/// Permission for one request in flight. Dropping it allows another request to start.
#[derive(Debug)]
pub(super) struct Permit(Throttle);

impl Throttle {
    /// Creates a limit that starts at its maximum, `max` requests.
    pub(super) fn new(max: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of requests is small")]
        let max = (max as f64).max(MIN_LIMIT);
        let state = State { max, limit: max, in_flight: 0, decreased_at: None };
        Self(Arc::new(Shared { state: Mutex::new(state), released: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another request is allowed.
    pub(super) async fn acquire(&self) -> Permit {
        loop {
            // Subscribe before trying to get a permit, so that a release in between is not missed.
            let released = self.0.released.notified();
            if self.state().try_start() {
                return Permit(self.clone());
            }
            released.await;
        }
    }

    /// Adjusts the limit after a response that arrived at `now`: decreases it if the response
    /// reported overload, and increases it otherwise.
    pub(super) fn adjust(&self, is_overloaded: bool, now: Instant) {
        self.state().adjust(is_overloaded, now);
    }
}

impl State {
    fn try_start(&mut self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a number of requests is small")]
        let is_allowed = (self.in_flight as f64) < self.limit;
        self.in_flight += usize::from(is_allowed);
        is_allowed
    }

    fn adjust(&mut self, is_overloaded: bool, now: Instant) {
        if !is_overloaded {
            // Increase the limit by one for each round of successes. A round is as many requests as
            // the limit.
            self.limit = (self.limit + 1.0 / self.limit).min(self.max);
        } else if self.decreased_at.is_none_or(|at| now.saturating_duration_since(at) >= BURST) {
            self.limit = (self.limit * DECREASE).max(MIN_LIMIT);
            self.decreased_at = Some(now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        // One permit is free, so wake one waiter.
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
    fn overload_lowers_the_limit_once_per_burst_and_success_raises_it_again() {
        let throttle = Throttle::new(100);
        let now = Instant::now();
        for _ in 0..50 {
            throttle.adjust(true, now);
        }
        assert!((limit(&throttle) - 70.0).abs() < 0.1, "one burst");
        for burst in 1..100 {
            throttle.adjust(true, now + BURST * burst);
        }
        assert!((limit(&throttle) - MIN_LIMIT).abs() < f64::EPSILON, "it never stops");
        for _ in 0..10_000 {
            throttle.adjust(false, now);
        }
        assert!((limit(&throttle) - 100.0).abs() < 0.1, "it returns to the maximum, not above");
    }

    #[tokio::test]
    async fn no_more_requests_are_in_flight_than_allowed() {
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
