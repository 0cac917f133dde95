//! Who is listening, and what the next line of the log is.
//!
//! Each line has a moment at which it is due. The session whose next event is due by then writes it; where none
//! is, a new one begins. So lines come out in the order of time, in the exact number wanted, and memory holds only
//! the sessions that are going on, never more than there are users.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use crate::calendar::{Calendar, Day};
use crate::event::Event;
use crate::json::{Spelling, append};
use crate::random::{Random, Subject};
use crate::song::Song;
use crate::user::User;
use crate::{Options, Written, flaw};

/// Sessions that never log in.
const LOGGED_OUT_SHARE: f64 = 0.16;
/// After an event, the session of a listener goes on with this probability: nine events on average.
const GOES_ON: f64 = 8.0 / 9.0;
/// The same where nobody is logged in.
const GOES_ON_LOGGED_OUT: f64 = 0.25;
const MAX_ITEMS: u64 = 128;
/// How many lines back a repeated line may lie.
const REMEMBERED_LINES: usize = 64;

/// One visit of one user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) session_id: u64,
    pub(crate) user: User,
    pub(crate) logged_in: bool,
    /// The number of the next event, from 0.
    pub(crate) item: u64,
}

/// The log as it is being written.
pub(crate) struct Log<'a> {
    options: &'a Options,
    calendar: Calendar,
    random: Random,
    /// What goes on, by the second at which its next event is due and the session's id.
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

    /// To be called before the first line of each day: from now on lines of the day before may arrive again.
    pub(crate) fn begin_day(&mut self) {
        if !self.today.is_empty() {
            self.yesterday = std::mem::take(&mut self.today);
        }
    }

    #[cfg(test)]
    pub(crate) fn going_on(&self) -> usize {
        self.sessions.len()
    }

    /// The text of the line of that number in `day`, without a line end.
    pub(crate) fn next_line(&mut self, day: &Day, line: u64, written: &mut Written) -> io::Result<Vec<u8>> {
        let now = day.due(line);
        self.lines_left -= 1;
        written.events += 1;
        // The promise of the README stands whatever the shares are.
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

    /// The event of the session that is due, or the first of a new one.
    fn next_event(&mut self, day: &Day, now: i64) -> Event {
        let everybody_listens = self.sessions.len() as u64 >= self.options.users;
        let (at, session) = match self.sessions.first_key_value() {
            // Due before midnight, but the lines of that day were used up: it waited.
            Some((&(due, _), _)) if due <= now => {
                (due.max(day.start), self.sessions.pop_first().map(|(_, session)| session))
            }
            // The next in turn skips the rest of a song.
            Some(_) if everybody_listens => (now, self.sessions.pop_first().map(|(_, session)| session)),
            _ => (now, None),
        };
        let mut session = session.unwrap_or_else(|| self.new_session());
        let event = Event::next(self.options, &session, at, &mut self.random);
        session.item += 1;
        let goes_on = if session.logged_in { GOES_ON } else { GOES_ON_LOGGED_OUT };
        if session.item < MAX_ITEMS && self.random.chance(goes_on) {
            let due = at + event.pause(&mut self.random);
            self.sessions.insert((due, session.session_id), session);
        }
        event
    }

    fn new_session(&mut self) -> Session {
        // A few users listen a lot: of two draws the second lies below the first.
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

    /// The last event of every log: Lily, who has just upgraded, plays the song of Elena.
    fn setanta_matins(&mut self, now: i64) -> Event {
        let session = self.session_of(0, true);
        Event::play(&session, now, Song::at(self.options, 0))
    }

    /// A line of today or, half of the time, of yesterday.
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
