//! Writes a project from data: finds sources below URLs, reads their records, and declares fields
//! that accept every value.
//!
//! ```text
//! URLs ─► source ─► merge ──► detect ─► sample ─► read ─► counters ─► field_type ─► column ─► write
//!         lists     groups   format,   which     frames  count       a type that   names     lake.toml
//!         objects   objects  path of   objects   records values per  accepts all   and
//!                   by keys  records                     path        values        comments
//! ```
//!
//! Example: below `exports`, the keys `orders/2018/11-01.json` and `orders/2018/11-02.json` have the
//! shape `orders/*/*.json`, so they are one group: the source `orders`. Their lines are JSON
//! objects, so its format is `ndjson`. Of 40 records, 38 have a number as `total`, and 2 have a text
//! that is a number. So `total` becomes a `double`, with a comment that names the conflict.

/// Lists objects, and drafts one source per group.
mod source;
/// Groups keys by their shape.
mod group;
/// Merges groups that differ only in a name and have similar records.
mod merge;
/// Detects the format of a source.
mod detect;
/// Finds the array or object with the records of a document.
mod outline;
/// Recognizes an object whose members are records.
mod members;
/// Patterns and name of a source.
mod select;
/// Chooses the objects to read.
mod sample;
/// Reads the records of objects.
mod read;
/// Threads that count the values of records.
mod counters;
/// Adds a record to the statistics.
mod visitor;
/// Moves through the text of a record.
mod cursor;
/// Statistics of the values of each path.
mod profile;
/// Names the places of records.
mod places;
/// Recognizes times since the epoch.
mod epoch;
/// Chooses types.
mod field_type;
/// Declares fields.
mod column;
/// Values around the records.
mod around;
/// Finds the names of the columns of a table.
mod column_names;
/// Shows characters of keys that cannot be seen.
mod invisible;
/// Names of sources and columns.
mod names;
/// The text of `lake.toml`.
mod write;
/// Creates the files of a project.
mod files;

use std::path::{Path, PathBuf};

use lakewright_common::config::default_limits;
use lakewright_common::error::{Context, Error, Result};

use crate::query_text::copy_of_source;
use names::Names;
use places::Places;
use source::{Draft, Found, Place};

/// Options of a new project.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) urls: Vec<String>,
    /// Folder of the project.
    pub(crate) out: PathBuf,
    /// Number of stored bytes to read; `None` reads everything.
    pub(crate) budget: Option<u64>,
}

/// A project that was written.
#[derive(Debug)]
pub(crate) struct Project {
    /// Path of `lake.toml`.
    pub(crate) config: PathBuf,
    /// One line for each source.
    pub(crate) summary: Vec<String>,
}

/// Reads data and writes a project for it.
///
/// # Errors
/// A configuration error if a file of the project exists or a URL is wrong; a data error if there
/// is no JSON; a storage error.
pub(crate) async fn create(options: &Options) -> Result<Project> {
    let working_folder = std::env::current_dir().context(|| Error::configuration("cannot find the working folder"))?;
    let out = source::resolved(&working_folder.join(&options.out));
    files::refuse_existing(&options.out, &["lake.toml".to_owned(), ".gitignore".to_owned()])?;
    let limits = default_limits();
    let (mut found, mut ignored) = (Vec::new(), Vec::new());
    for url in &options.urls {
        let place = Place::open(url, &working_folder).await?;
        let (sources, others) = place.sources(&out, &working_folder, &limits).await?;
        found.extend(sources);
        ignored.extend(others);
    }
    if found.is_empty() {
        return Err(no_source(&ignored));
    }
    name_apart(&mut found);
    let models: Vec<String> = found.iter().map(|source| format!("models/{}.sql", source.name)).collect();
    files::refuse_existing(&options.out, &models)?;
    let total: u64 = found.iter().flat_map(|source| &source.objects).map(|object| object.bytes).sum();
    let mut drafts = Vec::new();
    for source in found {
        let budget = budget_of(&source, total, options.budget);
        let chosen = sample::choose(&source.objects, budget);
        let objects = chosen.into_iter().map(|index| (index, source.objects[index].clone())).collect();
        let profile = read::read(&source.storage, objects, &source.detected, &limits, budget).await?;
        if profile.records == 0 && !profile.lost.is_empty() {
            let keys: Vec<&str> = source.objects.iter().map(|object| object.key.as_str()).collect();
            ignored.push((source::described(&keys), "has no record that a run accepts".to_owned()));
            continue;
        }
        let places = Places::new(&source.objects, &source.detected.format);
        let (columns, unread) = column::columns(&profile, &source.objects, places, &source.detected);
        let Found { name, url, selection, detected, objects, .. } = source;
        drafts.push(Draft { name, url, selection, detected, objects, profile, columns, unread });
    }
    if drafts.is_empty() {
        return Err(no_source(&ignored));
    }
    write_files(&options.out, &drafts, &ignored)?;
    let summary = drafts
        .iter()
        .map(summary_of)
        .chain(ignored.iter().map(|(object, reason)| format!("in no source: {object}, which {reason}")));
    Ok(Project { config: options.out.join("lake.toml"), summary: summary.collect() })
}

fn no_source(ignored: &[(String, String)]) -> Error {
    let reasons: Vec<String> = ignored.iter().map(|(object, reason)| format!("{object} {reason}")).collect();
    Error::data(format!("no object is JSON: {}", reasons.join(", ")))
}

/// Gives sources with the same name different ones.
fn name_apart(sources: &mut [Found]) {
    let mut names = Names::default();
    for source in sources {
        source.name = names.take(&source.name);
    }
}

/// Returns the number of bytes to read of a source: its share of the budget, or everything if the
/// budget is enough for all sources.
fn budget_of(source: &Found, total: u64, budget: Option<u64>) -> u64 {
    match budget {
        Some(budget) if total > budget => {
            let bytes: u128 = source.objects.iter().map(|object| u128::from(object.bytes)).sum();
            let share = u128::from(budget) * bytes / u128::from(total);
            u64::try_from(share).unwrap_or(u64::MAX).max(1)
        }
        _ => u64::MAX,
    }
}

fn write_files(out: &Path, drafts: &[Draft], ignored: &[(String, String)]) -> Result<()> {
    let mut texts = vec![(".gitignore".to_owned(), "lake/\n".to_owned())];
    for draft in drafts {
        let comment = format!("-- Table `{0}`: every column of source `{0}`. Change it as you like.\n", draft.name);
        texts.push((format!("models/{}.sql", draft.name), comment + &copy_of_source(&draft.name)));
    }
    // The configuration comes last: a project without it is clearly unfinished.
    texts.push(("lake.toml".to_owned(), write::lake_toml(drafts, ignored)));
    files::create(out, &texts)
}

fn summary_of(draft: &Draft) -> String {
    let records = field_type::counted(draft.profile.records, "record");
    let sampled = if draft.is_sampled() {
        let share = sample::seen_share(draft.profile.records) * 100.0;
        format!(
            " of a sample: a field present in more than {share:.3} % of the records was seen with 99.9 % confidence"
        )
    } else {
        String::new()
    };
    let rejected = match draft.profile.rejected.count {
        0 => String::new(),
        count => format!(", and {} that a run rejects", field_type::counted(count, "record")),
    };
    format!(
        "source {}: {}, {}, {}, {records}{rejected}{sampled}",
        draft.name,
        crate::output::objects(draft.objects.len()),
        field_type::counted(draft.columns.len() as u64, "field"),
        field_type::counted(draft.conflicts() as u64, "conflict"),
    )
}
