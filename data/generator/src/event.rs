//! Events. Each event is one line of the log and records one action of a listener.

use serde::Serialize;

use crate::Options;
use crate::random::Random;
use crate::session::Session;
use crate::song::Song;

/// Page, HTTP method and status of a request.
type Request = (&'static str, &'static str, u16);

/// Actions of a logged-in listener, except playing songs. Each action has a weight, its relative
/// frequency.
const OTHER: &[(Request, u64)] = &[
    (("Home", "GET", 200), 60),
    (("Logout", "PUT", 307), 9),
    (("Downgrade", "GET", 200), 6),
    (("Settings", "GET", 200), 6),
    (("Help", "GET", 200), 4),
    (("About", "GET", 200), 2),
    (("Upgrade", "GET", 200), 2),
    (("Save Settings", "PUT", 307), 1),
    (("Error", "GET", 404), 1),
];
/// Actions of a visitor who has not logged in. Each action has a weight, its relative frequency.
const OUTSIDE: &[(Request, u64)] =
    &[(("Home", "GET", 200), 60), (("Login", "PUT", 307), 32), (("About", "GET", 200), 5), (("Help", "GET", 200), 3)];
const PLAY: Request = ("NextSong", "PUT", 200);
/// Share of plays among the events of a logged-in listener.
const PLAY_SHARE: f64 = 0.88;
/// Share of plays of a known song with a changed duration. It is relative to all plays that match
/// no song file.
const OTHER_DURATION_SHARE: f64 = 0.05;

/// Record in one line of the log. The fields are written in this order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    artist: Option<String>,
    auth: &'static str,
    first_name: Option<&'static str>,
    gender: Option<&'static str>,
    item_in_session: u64,
    last_name: Option<&'static str>,
    length: Option<f64>,
    level: &'static str,
    location: Option<&'static str>,
    method: &'static str,
    page: &'static str,
    registration: Option<f64>,
    session_id: u64,
    song: Option<String>,
    status: u16,
    ts: i64,
    user_agent: Option<&'static str>,
    /// User id as text; empty if no user is logged in.
    user_id: String,
}

impl Event {
    /// Returns the next event of `session` at `at`, in seconds since the epoch.
    pub(crate) fn next(options: &Options, session: &Session, at: i64, random: &mut Random) -> Self {
        if !session.logged_in {
            Self::new(session, at, weighted(OUTSIDE, random), None)
        } else if random.chance(PLAY_SHARE) {
            Self::play(session, at, played_song(options, random))
        } else {
            Self::new(session, at, weighted(OTHER, random), None)
        }
    }

    /// Returns the event in which the listener of `session` plays `song`. `at` is in seconds since
    /// the epoch.
    pub(crate) fn play(session: &Session, at: i64, song: Song) -> Self {
        Self::new(session, at, PLAY, Some(song))
    }

    fn new(session: &Session, at: i64, (page, method, status): Request, song: Option<Song>) -> Self {
        let user = session.logged_in.then_some(&session.user);
        let length = song.as_ref().map(|song| song.duration);
        let (artist, title) = song.map(|song| (song.artist_name, song.title)).unzip();
        Self {
            artist,
            auth: if session.logged_in { "Logged In" } else { "Logged Out" },
            first_name: user.map(|user| user.first_name),
            gender: user.map(|user| user.gender),
            item_in_session: session.item,
            last_name: user.map(|user| user.last_name),
            length,
            level: session.user.level(at),
            location: user.map(|user| user.location),
            method,
            page,
            registration: user.map(|user| user.registration),
            session_id: session.session_id,
            song: title,
            status,
            // In the real log, every timestamp ends with the same milliseconds.
            ts: at * 1000 + 796,
            user_agent: user.map(|user| user.user_agent),
            user_id: user.map_or_else(String::new, |user| user.user_id.to_string()),
        }
    }

    pub(crate) fn is_play(&self) -> bool {
        self.length.is_some()
    }

    /// Returns the number of seconds from this event to the next event of the same session.
    pub(crate) fn pause(&self, random: &mut Random) -> i64 {
        self.length.map_or_else(|| 1 + random.below(60) as i64, |length| length as i64)
    }
}

/// Returns a random song to play. The song may have no song file, or have another duration than in
/// its file.
fn played_song(options: &Options, random: &mut Random) -> Song {
    if !random.chance(options.unmatched_plays) {
        return Song::at(options, random.below(options.songs));
    }
    if random.chance(OTHER_DURATION_SHARE) {
        let mut song = Song::at(options, random.below(options.songs));
        // Add one and a half seconds. Compute in whole hundred-thousandths, to avoid digits from
        // rounding errors.
        song.duration = ((song.duration * 100_000.0).round() + 150_000.0) / 100_000.0;
        return song;
    }
    Song::at(options, options.songs + random.below((options.songs * 3).max(1000)))
}

fn weighted(requests: &[(Request, u64)], random: &mut Random) -> Request {
    let mut left = random.below(requests.iter().map(|(_, weight)| weight).sum());
    for (request, weight) in requests {
        if left < *weight {
            return *request;
        }
        left -= weight;
    }
    requests[0].0
}
