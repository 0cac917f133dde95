//! Converts reports to the messages that workers send, and back. `read::wire` converts the reports
//! of a scan.
//!
//! A message may come from a malicious worker. This file checks that messages are complete and
//! valid. The coordinator's cluster engine checks whether their content is plausible for the task.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakewright_proto::v1::bound::Value as Bound;
use lakewright_proto::v1::task_report::Report;
use lakewright_proto::{MAX_REPORT_BYTES, v1};
use prost::Message;
use serde_json::{Number, Value};

use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::read::wire::required;
use crate::report::spool_object::SpoolObject;
use crate::report::{ColumnStatistics, TaskReport, WrittenFile, report_messages};

/// Decodes the reports that a plan returned.
///
/// # Errors
/// An internal error, if the batches do not have the schema [`crate::report::report_schema`], or if
/// a report cannot be decoded.
pub fn read_reports(batches: &[RecordBatch]) -> Result<Vec<TaskReport>> {
    report_messages(batches)?.into_iter().map(decode_report).collect()
}

/// Decodes one report.
///
/// # Errors
/// An internal error, if the message has more than [`MAX_REPORT_BYTES`], is not a report, or lacks
/// a part.
pub fn decode_report(message: &[u8]) -> Result<TaskReport> {
    // Check this before decoding, which may need much more memory than the message.
    if message.len() > MAX_REPORT_BYTES {
        let bytes = message.len();
        return Err(Error::internal(format!("a report has {bytes} bytes; up to {MAX_REPORT_BYTES} are allowed")));
    }
    let unreadable = || Error::internal("cannot read a report");
    v1::TaskReport::decode(message).context(unreadable)?.try_into().context(unreadable)
}

impl From<TaskReport> for v1::TaskReport {
    fn from(report: TaskReport) -> Self {
        let report = match report {
            TaskReport::Read(report) => return report.into(),
            TaskReport::Staged(file) => Report::Staged(file.into()),
            TaskReport::Quarantined(file) => Report::Quarantined(file.into()),
            TaskReport::Table(file) => Report::Table(file.into()),
            TaskReport::Spooled(object) => Report::Spooled(object.into()),
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<v1::TaskReport> for TaskReport {
    type Error = Error;

    fn try_from(message: v1::TaskReport) -> Result<Self> {
        match message.report {
            Some(Report::Staged(file)) => Ok(Self::Staged(file.try_into()?)),
            Some(Report::Quarantined(file)) => Ok(Self::Quarantined(file.try_into()?)),
            Some(Report::Table(file)) => Ok(Self::Table(file.try_into()?)),
            Some(Report::Spooled(object)) => Ok(Self::Spooled(object.into())),
            // The other kinds are reports of a scan. An unknown kind is rejected there.
            report => Ok(Self::Read(v1::TaskReport { report }.try_into()?)),
        }
    }
}

impl From<WrittenFile> for v1::WrittenFile {
    fn from(file: WrittenFile) -> Self {
        let WrittenFile { path, partition_values, rows, bytes, digest, statistics } = file;
        let value = |(column, value)| v1::PartitionValue { column, value };
        Self {
            path,
            partition_values: partition_values.into_iter().map(value).collect(),
            rows,
            bytes,
            digest: digest.map(|digest| digest.to_string()),
            statistics: statistics.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::WrittenFile> for WrittenFile {
    type Error = Error;

    fn try_from(file: v1::WrittenFile) -> Result<Self> {
        let columns = file.partition_values.len();
        let value = |part: v1::PartitionValue| (part.column, part.value);
        let partition_values: BTreeMap<_, _> = file.partition_values.into_iter().map(value).collect();
        // If a column occurs twice, the map has kept only one of its values.
        if partition_values.len() < columns {
            return Err(Error::internal("a file has two values of one partition column"));
        }
        let digest = |text: String| {
            Digest::parse(&text).ok_or_else(|| Error::internal("the digest of a file is not one of this version"))
        };
        Ok(Self {
            path: file.path,
            partition_values,
            rows: file.rows,
            bytes: file.bytes,
            digest: file.digest.map(digest).transpose()?,
            statistics: file.statistics.into_iter().map(TryInto::try_into).collect::<Result<_>>()?,
        })
    }
}

impl From<ColumnStatistics> for v1::ColumnStatistics {
    fn from(statistics: ColumnStatistics) -> Self {
        let ColumnStatistics { column, null_count, min, max } = statistics;
        Self { column, null_count, min: min.and_then(bound), max: max.and_then(bound) }
    }
}

impl TryFrom<v1::ColumnStatistics> for ColumnStatistics {
    type Error = Error;

    fn try_from(statistics: v1::ColumnStatistics) -> Result<Self> {
        let v1::ColumnStatistics { column, null_count, min, max } = statistics;
        if column.is_empty() {
            return Err(Error::internal("the column of statistics is missing"));
        }
        Ok(Self { column, null_count, min: min.map(json).transpose()?, max: max.map(json).transpose()? })
    }
}

/// Converts the minimum or maximum of a column to a message. Returns `None` for JSON that is
/// neither a string nor a number.
fn bound(value: Value) -> Option<v1::Bound> {
    let value = match value {
        Value::String(text) => Bound::Text(text),
        // JSON numbers above `i64::MAX` are unsigned.
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Bound::Whole(whole),
            (None, Some(large)) => Bound::Large(large),
            (None, None) => Bound::Fraction(number.as_f64()?),
        },
        _ => return None,
    };
    Some(v1::Bound { value: Some(value) })
}

/// Converts the message of a minimum or maximum to JSON.
fn json(bound: v1::Bound) -> Result<Value> {
    match required(bound.value, "the value of a bound")? {
        Bound::Text(text) => Ok(Value::String(text)),
        Bound::Whole(whole) => Ok(whole.into()),
        Bound::Large(large) => Ok(large.into()),
        Bound::Fraction(fraction) => {
            // JSON has no NaN and no infinity.
            let number = Number::from_f64(fraction);
            number.map(Value::Number).ok_or_else(|| Error::internal(format!("{fraction} is no bound of a column")))
        }
    }
}

impl From<SpoolObject> for v1::SpoolObject {
    fn from(object: SpoolObject) -> Self {
        let SpoolObject { key, rows, chunk_bytes } = object;
        let flushes = chunk_bytes.into_iter().map(|chunk_bytes| v1::Flush { chunk_bytes }).collect();
        Self { key, rows, flushes }
    }
}

impl From<v1::SpoolObject> for SpoolObject {
    fn from(object: v1::SpoolObject) -> Self {
        let v1::SpoolObject { key, rows, flushes } = object;
        Self { key, rows, chunk_bytes: flushes.into_iter().map(|flush| flush.chunk_bytes).collect() }
    }
}

#[cfg(test)]
mod tests;
