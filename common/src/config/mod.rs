//! Loads `lake.toml` and the environment into one checked `resolved::Config`, or reports every
//! fault at once.
//!
//! ```text
//! lake.toml ──► file ────────► environment ───► validate ──────────────► resolved::Config
//!               a tree of      overrides put     one pass over the tree: URL, SQL,
//!               values, each   into the same     types, sizes, names; faults are
//!               with its line  tree              added to `diagnostics`
//! ```
//!
//! Example: line 14 of the file contains `ts = "timestmp"`. `file` keeps it as a text of line 14;
//! `LAKEWRIGHT__SOURCES__EVENTS__FIELDS__TS=timestamp(ms)` would replace it by a text of that
//! variable; `validate` passes the text to `field_type`, which does not know such a type, and
//! `diagnostics` reports
//!
//! ```text
//! error: source `events`: field `ts` has unknown type `timestmp` (lake.toml, line 14)
//! hint: did you mean `timestamp`?
//! ```
//!
//! No other folder sees the text of the file, and this folder accesses neither lake nor sources.

use std::path::{Path, PathBuf};

use crate::config::diagnostics::Diagnostics;
use crate::config::object_patterns::UrlPattern;
use crate::config::resolved::{Config, Location};
use crate::error::{Context, Error, Result};

/// All settings: key, type, default.
pub mod settings;
/// Typed defaults of the settings.
mod defaults;
/// The file as a tree of values with their origins.
mod file;
/// Overrides from the environment.
mod environment;
/// Collects faults and reports them together.
mod diagnostics;
/// Reads one TOML table of the file key by key.
mod section;
/// Names that are valid in the lake, SQL and file systems.
mod name;
/// `[cluster]`: address for workers, time limits, TLS.
mod cluster;
/// `[storage.*]`: access to buckets.
mod bucket;
/// `[prices]`: prices of requests to S3.
mod prices;
/// Purpose for which a configuration is loaded.
mod purpose;
/// Checks the whole file; resolves `[lake]` and `[limits]`.
mod validate;
/// `[sources.*]`: location, format and decoding.
mod source;
/// `[sources.*.fields]`: input, type and rules of each field.
mod field;
/// Where the value of a field comes from.
mod field_input;
/// Grammar of field types.
mod field_type;
/// Formats of timestamps.
pub mod timestamp_pattern;
/// `[tables.*]`: SQL, key, partition columns, checks.
mod table;
/// Resolves the data checks of a table.
mod data_check;
/// Reads the SQL files beside `lake.toml`.
mod sql_file;
/// Resolves paths and URLs.
mod location;
/// Patterns that select the objects of a source.
pub mod object_patterns;
/// The path to the records of a JSON document.
pub mod records_path;
/// Memory available to the process.
pub mod memory;
/// The settings that are in effect, with their origins.
pub mod in_effect;
/// The checked configuration.
pub mod resolved;

pub use diagnostics::nearest;
pub use name::{is_name, same_but_for_case};
pub use purpose::Purpose;
pub use validate::default_limits;

/// Reads `file`, applies the overrides of `environment` (variables and their values) and checks the
/// result.
///
/// # Errors
/// A configuration error, if the file cannot be read or is not valid. It joins one error for each
/// fault of the file and the overrides.
pub fn load(file: &Path, purpose: Purpose, environment: impl Iterator<Item = (String, String)>) -> Result<Config> {
    let (document, diagnostics) = read(file, environment)?;
    validate::check(&document, file, &folder_of(file)?, purpose, diagnostics)
}

/// Reads `file` and applies the overrides of `environment`. Returns the tree of values, which is not
/// checked, and the faults so far.
///
/// # Errors
/// A configuration error if the file cannot be read or is not TOML.
fn read(file: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<(file::Item, Diagnostics)> {
    let text = std::fs::read_to_string(file).context(|| {
        Error::configuration(format!("cannot read the configuration `{}`", file.display()))
            .hint("`--config FILE` names another file")
    })?;
    let mut diagnostics = Diagnostics::new(file);
    // Text that is not TOML has no tree to check, so only its syntax errors can be reported.
    let Some(mut document) = file::parse(&text, &mut diagnostics) else {
        return Err(diagnostics.into_error());
    };
    environment::apply(&mut document, environment, &mut diagnostics);
    Ok((document, diagnostics))
}

/// Returns the absolute path of the folder of `file`, from which relative paths start.
fn folder_of(file: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(file)
        .context(|| Error::configuration(format!("cannot find the folder of `{}`", file.display())))?;
    Ok(absolute.parent().map_or_else(|| absolute.clone(), Path::to_path_buf))
}

/// Resolves a text that names objects, as the setting `url` of a source does. Relative paths start
/// from `folder`, which is absolute. Returns the folder or prefix, and the pattern below it.
///
/// # Errors
/// A configuration error that quotes the text.
pub fn locate(text: &str, folder: &Path) -> Result<(Location, Option<UrlPattern>)> {
    let (root, pattern) = UrlPattern::split(text);
    let url = location::resolve(root, folder).map_err(|fault| {
        let error = Error::configuration(format!("a URL {}", fault.message));
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    Ok((Location::of(url), pattern))
}

/// Parses a declared type, for tests of other modules.
#[cfg(test)]
pub(crate) fn field_type(text: &str) -> Option<resolved::FieldType> {
    field_type::parse(text).ok()
}

/// Resolves the source of a TOML text that declares exactly one, for tests of other modules.
#[cfg(test)]
pub(crate) fn source(toml: &str) -> Result<resolved::Source> {
    let mut diagnostics = Diagnostics::new(Path::new("lake.toml"));
    let document = file::parse(toml, &mut diagnostics);
    let resolved = document.as_ref().and_then(|root| {
        let root = section::Section::open("", root, settings::ROOT, &mut diagnostics)?;
        let file::Value::Table(sources) = &root.get("sources")?.value else { return None };
        source::resolve(&sources[0].key, &sources[0].item, Path::new("/"), &mut diagnostics)
    });
    match resolved {
        Some((source, _)) if diagnostics.is_empty() => Ok(source),
        _ => Err(diagnostics.into_error()),
    }
}

#[cfg(test)]
mod tests;
