//! Reads the newest entries of a Delta log, back to the newest one that this program wrote, and
//! builds the errors for the commits of other programs among them.

use lakewright_common::digest::{self, Digest};
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::Storage;

use super::log_entry::{Entry, Own};
use super::repair_hints::{damaged_entry, overwrite_hint};
use super::table_log;
use crate::lake::{LakePath, url_of};

/// Maximum number of commits of other programs that are read while searching for our newest entry.
const MAX_READ: usize = 200;

/// The newest entries of a log, back to the newest one that this program wrote.
pub(super) struct Tail {
    /// Manifest and run that our newest entry names.
    pub(super) own: Own,
    /// Commits of other programs after our newest entry, oldest first.
    pub(super) foreign: Vec<Entry>,
    /// Digests of our newest entry and of the later ones, by Delta version.
    pub(super) digests: Vec<(u64, Digest)>,
}

/// Reads the entries of a log from Delta version `newest` back to our newest entry.
pub(super) async fn read_tail(lake: &Storage, table: &str, newest: u64) -> Result<Tail> {
    let (mut foreign, mut digests) = (Vec::new(), Vec::new());
    for version in (0..=newest).rev() {
        let Some(bytes) = table_log::read_entry(lake, table, version).await? else {
            return Err(unread(lake, table, version, &foreign));
        };
        digests.push((version, digest::of(&bytes)));
        let entry = Entry::parse(version, &bytes).map_err(|error| damaged_entry(lake, table, version, error))?;
        match entry.own {
            // The entries were collected newest first.
            Some(own) => {
                foreign.reverse();
                return Ok(Tail { own, foreign, digests });
            }
            None if foreign.len() == MAX_READ => return Err(unread(lake, table, version, &foreign)),
            None => foreign.push(entry),
        }
    }
    Err(unread(lake, table, 0, &foreign))
}

/// Builds the error for commits of other programs. `repair` is the part of the hint that says how
/// to undo them.
pub(super) fn changed_by_others(table: &str, manifest: u64, foreign: &[Entry], repair: &str) -> Error {
    let commits = foreign.iter().map(Entry::description).collect::<Vec<_>>();
    Error::configuration(format!("table `{table}`: another program committed to its Delta log: {}", some_of(&commits)))
        .hint(format!("only Lakewright may change its tables; {repair} (the log was at version {manifest})"))
}

/// Joins the descriptions of the first three commits, and adds the number of further ones.
fn some_of(commits: &[String]) -> String {
    let more = commits.len().saturating_sub(3);
    let named = commits[..commits.len().min(3)].join("; ");
    if more > 0 { format!("{named}; and {more} more") } else { named }
}

fn unread(lake: &Storage, table: &str, version: u64, foreign: &[Entry]) -> Error {
    let commits = foreign.iter().take(1).map(Entry::description).collect::<Vec<_>>();
    let others = if commits.is_empty() { String::new() } else { format!("; another program committed {}", commits[0]) };
    Error::configuration(format!(
        "table `{table}`: no entry of Lakewright was found in its Delta log back to `{}`, so the content of the log is unknown{others}",
        url_of(lake, &LakePath::DeltaCommit { table, version }.key())
    ))
    .hint(overwrite_hint(table))
}
