//! ③ Pauses templates while records match too rarely, so that failed attempts cost little.

/// Number of tried records after which to decide whether to pause.
const WINDOW: u32 = 256;
/// Number of records of the first pause. Each further pause is twice as long.
const FIRST_PAUSE: u32 = 1024;
const LONGEST_PAUSE: u32 = 16 * 1024;

/// Decision after a window of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The decision is not due yet.
    Wait,
    Continue,
    Pause,
}

/// Decides for each record whether to try templates.
#[derive(Debug)]
pub(super) struct Pace {
    /// Number of records that were tried since the last decision.
    tried: u32,
    /// Number of records that were tried and stored since the last decision.
    stored: u32,
    /// Number of records until the pause ends.
    paused: u32,
    next_pause: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { tried: 0, stored: 0, paused: 0, next_pause: FIRST_PAUSE }
    }
}

impl Pace {
    /// Whether to try templates for the next record. During a pause, counts the record.
    pub(super) fn is_running(&mut self) -> bool {
        let is_running = self.paused == 0;
        self.paused = self.paused.saturating_sub(1);
        is_running
    }

    /// Counts a record that was tried.
    pub(super) fn count(&mut self, is_stored: bool) -> Decision {
        self.tried += 1;
        self.stored += u32::from(is_stored);
        if self.tried < WINDOW {
            return Decision::Wait;
        }
        // If only half of the records match, the failed attempts cost about as much time as the
        // successful ones save.
        let is_worth_it = self.stored * 2 >= self.tried;
        (self.tried, self.stored) = (0, 0);
        if is_worth_it {
            self.next_pause = FIRST_PAUSE;
            return Decision::Continue;
        }
        self.paused = self.next_pause;
        self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        Decision::Pause
    }
}
