//! From `lake.toml` and the environment to one checked `resolved::Config`, or to every fault at once.
//!
//! ```text
//! lake.toml ──► file ────────► environment ───► check ─────────────────► resolved::Config
//!               a tree of      overrides put     one pass over the tree: url, SQL,
//!               values, each   into the same     types, sizes, names; what is wrong
//!               with its line  tree              goes to `fault` and the pass goes on
//! ```
//!
//! One value followed through: line 14 of the file says `ts = "timestmp"`. `file` keeps it as a text of line 14;
//! `LAKEWRIGHT__SOURCES__EVENTS__FIELDS__TS=timestamp(ms)` would replace it by a text of that variable; `check` hands
//! it to `field_type`, which does not know it, and `fault` writes
//!
//! ```text
//! error: source `events`: field `ts` has unknown type `timestmp` (lake.toml, line 14)
//! hint: did you mean `timestamp`?
//! ```
//!
//! Nothing outside this folder sees the text of the file; nothing in it touches a lake or a source.

use std::path::{Path, PathBuf};

use crate::config::fault::Faults;
use crate::config::resolved::Config;
use crate::error::{Context, Error, Result};

/// Every setting there is: key, type, default.
pub mod settings;
/// The file as written: values, each with where it came from.
mod file;
/// Settings that the environment replaces.
mod environment;
/// All faults, then one error.
mod fault;
/// One table of the tree, read key by key.
mod section;
/// Names that the lake, SQL and a file system can all carry.
mod name;
/// `[cluster]`.
mod cluster;
/// `[storage.*]`: how buckets are reached.
mod bucket;
/// `[prices]`: what requests cost.
mod prices;
/// The pass over the tree: `[lake]`, `[limits]`, and what holds between its parts.
mod validate;
/// `[sources.*]`: fields and how objects are read.
mod source;
/// The grammar of field types.
mod field_type;
/// `[tables.*]`: SQL, key, partition columns, checks.
mod table;
/// The conditions of a table.
mod data_check;
/// Paths and URLs as one kind of URL.
mod location;
/// How much memory there is to share out.
pub mod memory;
/// What all of it comes to.
pub mod resolved;

/// What a configuration is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A run, or whether one could be made.
    Run,
    /// Looking at the lake: nobody is listened to, so it need not be said who may connect.
    Look,
}

/// Reads `file`, puts the overrides of `environment` (variables and their values) over it and checks the whole.
///
/// # Errors
/// Configuration: the file cannot be read, or the faults of it and of the overrides, all of them in one message: a
/// line each, a hint below where there is one, every fault but the first with `error: ` before it.
pub fn load(file: &Path, purpose: Purpose, environment: impl Iterator<Item = (String, String)>) -> Result<Config> {
    let text = std::fs::read_to_string(file).context(|| {
        Error::configuration(format!("cannot read the configuration `{}`", file.display()))
            .hint("`--config FILE` names another file")
    })?;
    let mut faults = Faults::new(file);
    let Some(mut document) = file::parse(&text, &mut faults) else {
        return Err(faults.into_error());
    };
    environment::apply(&mut document, environment, &mut faults);
    validate::check(&document, file, &folder_of(file)?, purpose, faults)
}

/// The absolute folder that relative paths start from.
fn folder_of(file: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(file)
        .context(|| Error::configuration(format!("cannot find the folder of `{}`", file.display())))?;
    Ok(absolute.parent().map_or_else(|| absolute.clone(), Path::to_path_buf))
}

/// The name in `known` that was probably meant by `name`: equal but for case and dashes, or a few slips away.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = |text: &str| text.to_lowercase().replace('-', "_");
    let length = name.chars().count();
    known
        .map(|candidate| (strsim::damerau_levenshtein(&folded(name), &folded(candidate)), candidate))
        .filter(|(slips, candidate)| {
            // One slip in three letters still reads as the same word; a word of slips alone is another word.
            *slips <= (length.max(candidate.chars().count()) / 3).max(1) && *slips < length
        })
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// A declared type as the tests of other folders write it.
#[cfg(test)]
pub(crate) fn field_type(text: &str) -> Option<resolved::FieldType> {
    field_type::parse(text).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
