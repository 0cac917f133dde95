//! Statistics of the values of one column: nulls, different values, bounds, and a histogram of
//! numbers and times, or the most frequent values of others.

use std::sync::Arc;

use arrow::datatypes::DataType;
use axum::Json;
use axum::extract::{Path, State};
use chrono::DateTime;
use lakewright_common::error::Result;
use serde_json::{Value, json};

use super::tables::{find, only_row};
use super::{Parameters, number};
use crate::query_text::pages::{Scale, bounds, buckets, counts, frequent_values};
use crate::ui::Ui;
use crate::ui::answer::{Answer, not_found};
use crate::ui::cells;
use crate::view::View;

/// Number of bars of a histogram.
const BUCKETS: u64 = 24;
/// Number of frequent values.
const TOP: u64 = 20;
/// Maximum number of different values of a number that are shown one by one.
const FEW_VALUES: u64 = 12;

/// Statistics of one column.
pub(super) async fn column(
    State(ui): State<Arc<Ui>>,
    Path((name, column)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let view = ui.view(number(&parameters, "version")?).await?;
    let table = find(&view, &name)?;
    let schema = table.columns.arrow_schema()?;
    let field = schema.field_with_name(&column).map_err(|_| not_found("the column", &column))?;
    let data_type = field.data_type();
    let mut answer = json!({ "column": column, "type": cells::type_name(data_type), "rows": table.rows() });
    for member in ["nulls", "distinct", "min", "max"] {
        answer[member] = Value::Null;
    }
    if data_type.is_nested() || data_type.is_binary() {
        let row = only_row(&view, &counts(&name, &column, false)).await?;
        answer["nulls"] = row.first().cloned().unwrap_or_default();
        return Ok(Json(answer));
    }
    let row = only_row(&view, &counts(&name, &column, true)).await?;
    let mut row = row.into_iter();
    for member in ["nulls", "distinct", "min", "max"] {
        answer[member] = row.next().unwrap_or_default();
    }
    let is_few = answer["distinct"].as_u64().is_some_and(|distinct| distinct <= FEW_VALUES);
    if let Some(scale) = scale_of(data_type).filter(|_| !is_few)
        && let Some(histogram) = histogram(&view, &name, &column, scale).await?
    {
        answer["histogram"] = histogram;
    } else {
        let rows = cells::rows(&view.rows(&frequent_values(&name, &column, TOP)).await?)?;
        answer["top"] = rows.iter().map(|row| json!({ "value": row[0], "count": row[1] })).collect();
    }
    Ok(Json(answer))
}

/// Returns the scale of a histogram; `None` if the values have no distances.
fn scale_of(data_type: &DataType) -> Option<Scale> {
    match data_type {
        DataType::Timestamp(_, _) | DataType::Date32 => Some(Scale::Time),
        number if number.is_numeric() => Some(Scale::Number),
        _ => None,
    }
}

/// Returns a histogram; `None` if the values are too close to each other, or not finite.
async fn histogram(view: &View, table: &str, column: &str, scale: Scale) -> Result<Option<Value>> {
    let row = only_row(view, &bounds(table, column, scale)).await?;
    let [Some(least), Some(greatest)] = [0, 1].map(|at| row.get(at).and_then(Value::as_f64)) else {
        return Ok(None);
    };
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let width = (greatest - least) / BUCKETS as f64;
    if !width.is_finite() || least + width <= least {
        return Ok(None);
    }
    let label = |at: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let value = if at == BUCKETS { greatest } else { least + at as f64 * width };
        match scale {
            Scale::Number => json!(value),
            #[expect(clippy::cast_possible_truncation, reason = "a label in milliseconds")]
            Scale::Time => json!(DateTime::from_timestamp_millis((value * 1000.0).floor() as i64)),
        }
    };
    let rows = cells::rows(&view.rows(&buckets(table, column, scale, least, width, BUCKETS)).await?)?;
    let count = |at: u64| rows.iter().find(|row| row[0].as_u64() == Some(at)).map_or(json!(0), |row| row[1].clone());
    let bars = (0..BUCKETS).map(|at| json!({ "from": label(at), "to": label(at + 1), "count": count(at) }));
    Ok(Some(bars.collect()))
}
