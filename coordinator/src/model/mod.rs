//! ⑥ The models: what each of them reads, the building order, and when one must be built again.
//!
//! A model is one SQL query in a file. It reads staging tables as `staging.<source>`, and tables of
//! other models by their names. The program finds these references by parsing the query, so they
//! are not declared elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::TableReference;
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use lakewright_common::config::nearest;
use lakewright_common::config::resolved::{Config, Rule, Table};
use lakewright_common::error::{Error, Result};
use lakewright_common::sql::check_text;
use sha2::{Digest, Sha256};

use crate::lake::manifest::TableState;

/// Orders models so that each comes after those that it reads.
mod order;

/// SQL schema of the staging tables.
pub(crate) const STAGING_SCHEMA: &str = "staging";

/// Model of a table, with the names of the sources and tables that it reads.
#[derive(Debug, Clone)]
pub(crate) struct Model<'a> {
    pub(crate) table: &'a Table,
    pub(crate) sources: BTreeSet<String>,
    pub(crate) tables: BTreeSet<String>,
    /// Digest that shows whether the model changed. It covers the query, the key, the partition
    /// columns, the checks, the declared fields of the sources that the query reads, and the
    /// fingerprints of the tables that it reads.
    pub(crate) fingerprint: String,
    /// Whether the user requested with `--rebuild` that the table be built again, even if nothing
    /// changed.
    pub(crate) is_asked_for: bool,
}

impl Model<'_> {
    /// Returns whether the table must be built again. This is so if the user requested it, if the
    /// table was never built, if its fingerprint has changed, or if the model reads a source in
    /// `fresh` or a table in `built`. `fresh` contains the sources with new rows, and `built` the
    /// tables that this run has built.
    pub(crate) fn is_stale(
        &self,
        previous: Option<&TableState>,
        fresh: &BTreeSet<&str>,
        built: &BTreeSet<String>,
    ) -> bool {
        self.is_asked_for
            || previous.is_none_or(|table| table.fingerprint != self.fingerprint)
            || self.sources.iter().any(|source| fresh.contains(source.as_str()))
            || self.tables.iter().any(|table| built.contains(table))
    }
}

/// Options under which a model or a query may only read.
pub(crate) fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Marks the tables in `names` to be built again.
///
/// # Errors
/// A configuration error for a name that no table has.
pub(crate) fn ask_for(models: &mut [Model<'_>], names: &[String]) -> Result<()> {
    for name in names {
        let known: Vec<String> = models.iter().map(|model| model.table.name.clone()).collect();
        match models.iter_mut().find(|model| model.table.name == *name) {
            Some(model) => model.is_asked_for = true,
            None => {
                let hint = match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the tables are `{}`", known.join("`, `")),
                };
                return Err(Error::configuration(format!("no table is named `{name}`")).hint(hint));
            }
        }
    }
    Ok(())
}

/// Returns all models of `config` in building order: each after the models that it reads, and where
/// possible after those that its checks refer to.
///
/// # Errors
/// A configuration error with all faults at once: SQL that does not parse or does more than read,
/// an unknown table, a cycle.
pub(crate) fn plan_models<'a>(session: &SessionContext, config: &'a Config) -> Result<Vec<Model<'a>>> {
    let mut faults = Vec::new();
    let mut models = Vec::new();
    for table in &config.tables {
        match read_references(session, config, table) {
            Ok((sources, tables)) => {
                models.push(Model { table, sources, tables, fingerprint: String::new(), is_asked_for: false })
            }
            Err(mut found) => faults.append(&mut found),
        }
    }
    if let Some(faults) = Error::join(faults) {
        return Err(faults);
    }
    // The fingerprint of a table depends on those of the tables that it reads, so fingerprints are
    // computed in building order.
    let mut models = order::order(models)?;
    let mut fingerprints = BTreeMap::new();
    for model in &mut models {
        model.fingerprint = fingerprint(config, model, &fingerprints);
        fingerprints.insert(model.table.name.clone(), model.fingerprint.clone());
    }
    Ok(models)
}

/// Returns the sources and the tables that a model reads, or all faults of its SQL.
fn read_references(
    session: &SessionContext,
    config: &Config,
    table: &Table,
) -> std::result::Result<(BTreeSet<String>, BTreeSet<String>), Vec<Error>> {
    let statement = parse_model(session, table).map_err(|fault| vec![at(table, fault)])?;
    let references = session.state().resolve_table_references(&statement);
    let references = references.map_err(|e| vec![at(table, Error::configuration(e.strip_backtrace()))])?;
    let mut sources = BTreeSet::new();
    let mut tables = BTreeSet::new();
    let mut faults = Vec::new();
    // Names of common table expressions are not among the references.
    for reference in references {
        let (schema, name) = (reference.schema().unwrap_or_default(), reference.table());
        if schema == STAGING_SCHEMA {
            let known = config.sources.iter().map(|source| source.name.as_str());
            match known_name(known, name) {
                Ok(()) => drop(sources.insert(name.to_owned())),
                Err(hint) => faults.push(unknown(table, &format!("no source is named `{name}`"), hint)),
            }
        } else {
            let known = config.tables.iter().map(|table| table.name.as_str());
            match known_name(known, name) {
                Ok(()) => drop(tables.insert(name.to_owned())),
                Err(hint) => faults.push(unknown_table(table, config, &reference, hint)),
            }
        }
    }
    if faults.is_empty() { Ok((sources, tables)) } else { Err(faults) }
}

/// Parses a model.
///
/// # Errors
/// A configuration error if the text is not one query.
fn parse_model(session: &SessionContext, table: &Table) -> Result<Statement> {
    check_text(&table.sql)?;
    let statement = session
        .state()
        .sql_to_statement(&table.sql, &datafusion::config::Dialect::Generic)
        .map_err(|e| Error::configuration(format!("the SQL does not parse: {}", e.strip_backtrace())))?;
    match &statement {
        Statement::Statement(inner) if matches!(inner.as_ref(), ast::Statement::Query(_)) => Ok(statement),
        _ => Err(Error::configuration("a model is one query, such as `SELECT … FROM staging.…`")),
    }
}

/// Adds the table's name and the path of its SQL file to the message of a fault.
fn at(table: &Table, mut fault: Error) -> Error {
    fault.message = format!("table `{}`: {}: {}", table.name, table.sql_file.display(), fault.message);
    fault
}

fn unknown(table: &Table, message: &str, hint: Option<String>) -> Error {
    let fault = at(table, Error::configuration(message));
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn unknown_table(table: &Table, config: &Config, reference: &TableReference, hint: Option<String>) -> Error {
    let name = reference.table();
    // A common mistake: a source is read without the schema of the staging tables.
    if config.sources.iter().any(|source| source.name == name) {
        let hint = format!("the source is read as `{STAGING_SCHEMA}.{name}`");
        return unknown(table, &format!("no table is named `{name}`"), Some(hint));
    }
    unknown(table, &format!("no table is named `{reference}`"), hint)
}

/// Returns `Ok` if `name` is in `known`. Otherwise returns `Err` with a hint that contains the most
/// similar name, or with `None` if no name is similar.
fn known_name<'a>(known: impl Iterator<Item = &'a str> + Clone, name: &str) -> std::result::Result<(), Option<String>> {
    if known.clone().any(|candidate| candidate == name) {
        return Ok(());
    }
    Err(nearest(name, known).map(|near| format!("did you mean `{near}`?")))
}

fn fingerprint(config: &Config, model: &Model<'_>, of_tables: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        // The length before each part keeps (`ab`, `c`) different from (`a`, `bc`).
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    add(&model.table.sql);
    add(&model.table.key.join(","));
    add(&model.table.partition_by.join(","));
    for check in &model.table.checks {
        match &check.rule {
            // Only the text of the query matters, not the path of its file.
            Rule::Sql { sql, .. } => add(sql),
            rule => add(&format!("{rule:?}")),
        }
        add(if check.warn { "warns" } else { "fails" });
    }
    for source in config.sources.iter().filter(|source| model.sources.contains(&source.name)) {
        add(&source_fingerprint(source));
    }
    for table in &model.tables {
        add(of_tables.get(table).map_or("", String::as_str));
    }
    hex(&hash.finalize())
}

/// Returns a digest that changes with the declared fields of a source, and with how its text is
/// decoded.
pub(crate) fn source_fingerprint(source: &lakewright_common::config::resolved::Source) -> String {
    // `Debug` contains everything about the fields in their order.
    hex(&Sha256::digest(format!("{:?} {:?}", source.fields, source.decoding)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
