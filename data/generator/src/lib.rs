//! Generates song files and listening logs for Lakewright, in the shape of a music-streaming
//! service's data.
//!
//! ```text
//! seed ─► random ─┬─► artist ─► song ──────────────► song_data/A/B/C/TR….json
//!                 │               │ plays
//!                 └─► user ──► session ─► event ─► flaw ─► log_data/YYYY/MM/YYYY-MM-DD-events.json
//! ```
//!
//! Songs, artists and users are computed from the seed and their number, so they are not kept in
//! memory. The log is written in order of time, so memory contains only the active sessions and a
//! few recent lines.
//!
//! Two things are guaranteed. The same options give the same bytes on every machine. In the last
//! event of the log, Lily, who has just upgraded, plays `Setanta matins` by Elena. The README's
//! example questions depend on this event.

/// Generates reproducible random numbers.
mod random;
/// JSON formats of song files and log files.
mod json;
/// Words for titles and names.
mod words;
/// Artists, and how song files disagree about them.
mod artist;
/// One song file.
mod song;
/// Listeners, and when their level changes.
mod user;
/// One line of the log.
mod event;
/// Distribution of lines over days.
mod calendar;
/// One visit of a listener.
mod session;
/// Decides which session writes each line of the log.
mod log;
/// Unreadable lines.
mod flaw;
/// Writes files and folders.
mod output;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

/// Amount and properties of the data. Every share is between 0.0 and 1.0.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Number of song files
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1 << 28))]
    pub songs: u64,
    /// Number of lines in all log files together
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub events: u64,
    /// Number of listeners; the first, with the id 2, is called Lily
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    pub users: u64,
    /// Number of log files, one per day
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub files: u64,
    /// Seed of the random numbers; the same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Share of song files that repeat an earlier song, half of them under another song_id
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    pub duplicate_songs: f64,
    /// Share of artists whose name or place differs between their song files
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    pub conflicting_artists: f64,
    /// Share of users who upgrade or downgrade at least once
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    pub level_changes: f64,
    /// Share of plays that match no song file: the song has no file, or its file gives another
    /// duration
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, value_parser = share)]
    pub unmatched_plays: f64,
    /// Share of unreadable lines: cut off, not UTF-8, not JSON, or with a time of the wrong type
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub malformed_lines: f64,
    /// Share of lines that are exact copies of an earlier line; half of these come from the
    /// previous file
    #[arg(long, value_name = "SHARE", default_value_t = 0.005, value_parser = share)]
    pub duplicate_events: f64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0.0 to 1.0".to_owned()),
    }
}

/// Summary of the written data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Number of song files; each contains one JSON object.
    pub songs: u64,
    /// Number of lines in all log files, including unreadable lines.
    pub events: u64,
    /// Number of log files.
    pub files: u64,
    /// Number of lines that repeat an earlier line.
    pub duplicate_events: u64,
    /// Number of unreadable lines.
    pub malformed_lines: u64,
    /// Number of distinct plays in readable lines.
    pub plays: u64,
    /// Total size of all files in bytes.
    pub bytes: u64,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} songs and {} events in {} log files ({} plays, {} duplicate events, {} malformed lines; {} bytes)",
            self.songs, self.events, self.files, self.plays, self.duplicate_events, self.malformed_lines, self.bytes
        )
    }
}

/// Reason why the data was not written completely.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("folder `{}` is not empty", folder.display())]
    NotEmpty { folder: PathBuf },
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Storage { operation: &'static str, path: PathBuf, source: std::io::Error },
}

impl Error {
    /// Returns what the user can do about the error.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotEmpty { .. } => Some("name a new folder, so that old and new data do not mix"),
            Self::Storage { .. } => None,
        }
    }
}

/// Generates data according to `options` and writes it to `folder`, which must be empty or not
/// exist yet.
pub fn generate(options: &Options, folder: &Path) -> Result<Written, Error> {
    output::claim(folder)?;
    let mut written = Written::default();
    output::write_songs(options, folder, &mut written)?;
    output::write_log(options, folder, &mut written)?;
    Ok(written)
}
