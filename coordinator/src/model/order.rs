//! Puts models in building order: each after those that it reads, and where possible after those
//! that its checks refer to. Dimensions are then published before the facts that refer to them.

use std::collections::BTreeSet;

use lakewright_common::config::resolved::Rule;
use lakewright_common::error::{Error, Result};

use super::Model;

/// Returns the models in building order. Models that could both be next keep the order of
/// `lake.toml`.
///
/// # Errors
/// A configuration error that lists the models of a cycle, each followed by one that it reads.
pub(super) fn order(models: Vec<Model<'_>>) -> Result<Vec<Model<'_>>> {
    let mut waiting = models;
    let mut ordered: Vec<Model<'_>> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_built = |name: &String| ordered.iter().any(|model| &model.table.name == name);
        let is_buildable = |model: &&Model<'_>| model.tables.iter().all(is_built);
        let refers_to_built = |model: &Model<'_>| referred(model).iter().all(is_built);
        let next = waiting
            .iter()
            .position(|model| is_buildable(&model) && refers_to_built(model))
            // Checks may refer to each other's tables in a cycle, which no order satisfies. This
            // order only helps readers of the tables, so take any model that can be built.
            .or_else(|| waiting.iter().position(|model| is_buildable(&model)));
        match next {
            Some(i) => ordered.push(waiting.remove(i)),
            None => return Err(cycle(&waiting)),
        }
    }
    Ok(ordered)
}

/// Returns the tables that a model's checks refer to, except the model's own table.
fn referred(model: &Model<'_>) -> BTreeSet<String> {
    let targets = model.table.checks.iter().filter_map(|check| match &check.rule {
        Rule::References { to_table, .. } if *to_table != model.table.name => Some(to_table.clone()),
        _ => None,
    });
    targets.collect()
}

/// Returns the error for a cycle. Each waiting model reads another waiting model, so following
/// these references leads back to a model that was seen before.
fn cycle(waiting: &[Model<'_>]) -> Error {
    let mut path: Vec<&str> = Vec::new();
    let mut current = waiting.first();
    while let Some(model) = current {
        let name = model.table.name.as_str();
        if let Some(start) = path.iter().position(|seen| *seen == name) {
            // Models before `start` lead to the cycle and are no part of it.
            path.drain(..start);
            path.push(name);
            break;
        }
        path.push(name);
        current = waiting.iter().find(|other| model.tables.contains(&other.table.name));
    }
    let file = waiting.first().map(|model| model.table.sql_file.display().to_string()).unwrap_or_default();
    Error::configuration(format!("the models read each other in a circle: `{}` ({file})", path.join("` → `")))
        .hint("let one of them read staging tables instead")
}
