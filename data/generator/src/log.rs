//! The log: decides which session writes the next line.
//!
//! Each line is due at a certain time. If a session has an event that is due by then, this session
//! writes the line. Otherwise a new session starts and writes it. There are never more active
//! sessions than users: at this limit, the session with the next event writes the line early. So
//! lines are ordered by time, and their number is exact.
//!
//! Memory contains only the active sessions and a few recent lines.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use crate::calendar::{Calendar, Day};
use crate::event::Event;
use crate::json::{Spelling, append};
use crate::random::{Random, Subject};
use crate::session::Session;
use crate::song::Song;
use crate::user::User;
use crate::{Options, Written, flaw};

/// Share of sessions in which no user logs in.
const LOGGED_OUT_SHARE: f64 = 0.16;
/// Probability that the session of a logged-in listener continues after an event. At this value, a
/// session has nine events on average.
const SESSION_CONTINUES: f64 = 8.0 / 9.0;
/// Probability that a session without a logged-in user continues after an event.
const LOGGED_OUT_CONTINUES: f64 = 0.25;
const MAX_ITEMS: u64 = 128;
/// Maximum number of recent lines of a day that are kept in memory. Later lines of the same day or
/// the next may repeat them.
const REMEMBERED_LINES: usize = 64;

/// State of the log while it is written.
pub(crate) struct Log<'a> {
    options: &'a Options,
    calendar: Calendar,
    random: Random,
    /// Active sessions. The key is the time at which the session's next event is due, in seconds
    /// since the epoch, and the session's id.
    sessions: BTreeMap<(i64, u64), Session>,
    next_session_id: u64,
    lines_left: u64,
    today: VecDeque<Vec<u8>>,
    yesterday: VecDeque<Vec<u8>>,
}

impl<'a> Log<'a> {
    pub(crate) fn new(options: &'a Options, calendar: Calendar) -> Self {
        Self {
            options,
            calendar,
            random: Random::keyed(options.seed, Subject::Log, 0),
            sessions: BTreeMap::new(),
            next_session_id: 1,
            lines_left: options.events,
            today: VecDeque::new(),
            yesterday: VecDeque::new(),
        }
    }

    /// Starts a day; must be called before the first line of the day. Lines of the previous day may
    /// then be repeated.
    pub(crate) fn begin_day(&mut self) {
        if !self.today.is_empty() {
            self.yesterday = std::mem::take(&mut self.today);
        }
    }

    #[cfg(test)]
    pub(crate) fn going_on(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the text of the line with this number in `day`, without a line feed.
    pub(crate) fn next_line(&mut self, day: &Day, line: u64, written: &mut Written) -> io::Result<Vec<u8>> {
        let now = day.due(line);
        self.lines_left -= 1;
        written.events += 1;
        // With any options, the last line must be the event that the README's questions ask for.
        let is_last = self.lines_left == 0;
        let malformed = !is_last && self.random.chance(self.options.malformed_lines);
        if !is_last
            && !malformed
            && self.random.chance(self.options.duplicate_events)
            && let Some(repeated) = self.repeated()
        {
            written.duplicate_events += 1;
            return Ok(repeated);
        }
        let event = if is_last { self.setanta_matins(now) } else { self.next_event(day, now) };
        let mut text = Vec::with_capacity(512);
        append(&mut text, &event, Spelling::Log)?;
        if malformed {
            written.malformed_lines += 1;
            return Ok(flaw::spoil(text, &mut self.random));
        }
        written.plays += u64::from(event.is_play());
        self.remember(&text);
        Ok(text)
    }

    /// Returns the next event of an active session if this event is due, otherwise the first event
    /// of a new session. If there are as many active sessions as users, starts no session, but
    /// takes the next event early.
    fn next_event(&mut self, day: &Day, now: i64) -> Event {
        let everybody_listens = self.sessions.len() as u64 >= self.options.users;
        let (at, session) = match self.sessions.first_key_value() {
            // The event was due before midnight, but the previous day had no lines left, so delay
            // it.
            Some((&(due, _), _)) if due <= now => {
                (due.max(day.start), self.sessions.pop_first().map(|(_, session)| session))
            }
            // No event is due and all users are listening: the next session skips the rest of its
            // song.
            Some(_) if everybody_listens => (now, self.sessions.pop_first().map(|(_, session)| session)),
            _ => (now, None),
        };
        let mut session = session.unwrap_or_else(|| self.new_session());
        let event = Event::next(self.options, &session, at, &mut self.random);
        session.item += 1;
        let goes_on = if session.logged_in { SESSION_CONTINUES } else { LOGGED_OUT_CONTINUES };
        if session.item < MAX_ITEMS && self.random.chance(goes_on) {
            let due = at + event.pause(&mut self.random);
            self.sessions.insert((due, session.session_id), session);
        }
        event
    }

    fn new_session(&mut self) -> Session {
        // Draw a second number up to the first, so that users with low numbers listen more than
        // others.
        let number = self.random.below(self.options.users);
        let number = self.random.below(number + 1);
        let logged_in = !self.random.chance(LOGGED_OUT_SHARE);
        self.session_of(number, logged_in)
    }

    fn session_of(&mut self, user_number: u64, logged_in: bool) -> Session {
        let session_id = self.next_session_id;
        self.next_session_id += 1;
        Session { session_id, user: User::at(self.options, &self.calendar, user_number), logged_in, item: 0 }
    }

    /// Returns the last event of every log: Lily, who has just upgraded, plays the song of Elena.
    fn setanta_matins(&mut self, now: i64) -> Event {
        let session = self.session_of(0, true);
        Event::play(&session, now, Song::at(self.options, 0))
    }

    /// Returns a recent line of the current day or, in half of the cases, of the previous day. If
    /// the chosen day has no lines, uses the other day; `None` if both have none.
    fn repeated(&mut self) -> Option<Vec<u8>> {
        let from_yesterday = self.random.chance(0.5);
        let lines = match (from_yesterday, self.today.is_empty(), self.yesterday.is_empty()) {
            (_, true, true) => return None,
            (true, _, false) | (false, true, false) => &self.yesterday,
            (false, false, _) | (true, false, true) => &self.today,
        };
        lines.get(self.random.below(lines.len() as u64) as usize).cloned()
    }

    fn remember(&mut self, line: &[u8]) {
        if self.today.len() == REMEMBERED_LINES {
            self.today.pop_front();
        }
        self.today.push_back(line.to_vec());
    }
}
