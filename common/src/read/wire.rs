//! Converts the reports of a scan to the messages that workers send, and back.
//!
//! A message may come from a malicious worker, so every required part is checked. The coordinator's
//! cluster engine checks the content of a report.

use lakewright_proto::v1;
use lakewright_proto::v1::task_report::Report;

use crate::error::{Error, Result};
use crate::read::field_counts::FieldCounts;
use crate::read::rejection::Reason;
use crate::read::scan_rows::ReadReport;
use crate::read::tally::{Damage, ObjectTally};
use crate::storage::object::SourceObject;

/// Returns a required part of a message. `what` names the part in the error.
///
/// # Errors
/// An internal error, if the part is missing.
pub(crate) fn required<T>(part: Option<T>, what: &str) -> Result<T> {
    part.ok_or_else(|| Error::internal(format!("{what} is missing")))
}

impl From<ReadReport> for v1::TaskReport {
    fn from(report: ReadReport) -> Self {
        let report = match report {
            ReadReport::Object(tally) => Report::Tally(tally.into()),
            ReadReport::Fields(FieldCounts { undeclared, nulled, filled, null_records }) => {
                Report::Fields(v1::FieldCounts {
                    undeclared: undeclared.into_iter().collect(),
                    nulled: nulled.into_iter().collect(),
                    filled: filled.into_iter().collect(),
                    null_records,
                })
            }
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<v1::TaskReport> for ReadReport {
    type Error = Error;

    fn try_from(report: v1::TaskReport) -> Result<Self> {
        match required(report.report, "the kind of a report")? {
            Report::Tally(tally) => Ok(Self::Object(tally.try_into()?)),
            Report::Fields(v1::FieldCounts { undeclared, nulled, filled, null_records }) => {
                Ok(Self::Fields(FieldCounts {
                    undeclared: undeclared.into_iter().collect(),
                    nulled: nulled.into_iter().collect(),
                    filled: filled.into_iter().collect(),
                    null_records,
                }))
            }
            _ => Err(Error::internal("a report is not of a scan")),
        }
    }
}

impl From<ObjectTally> for v1::ObjectTally {
    fn from(tally: ObjectTally) -> Self {
        let ObjectTally {
            object,
            split_start,
            records,
            staged,
            quarantined,
            templated,
            lines,
            stored_bytes,
            bytes,
            unframed_bytes,
            damage,
        } = tally;
        Self {
            object: Some(object.into()),
            split_start,
            records,
            staged,
            quarantined,
            templated,
            lines,
            stored_bytes,
            bytes,
            unframed_bytes,
            damage: damage.map(Into::into),
        }
    }
}

impl TryFrom<v1::ObjectTally> for ObjectTally {
    type Error = Error;

    fn try_from(tally: v1::ObjectTally) -> Result<Self> {
        Ok(Self {
            object: required(tally.object, "the object of a tally")?.into(),
            split_start: tally.split_start,
            records: tally.records,
            staged: tally.staged,
            quarantined: tally.quarantined,
            templated: tally.templated,
            lines: tally.lines,
            stored_bytes: tally.stored_bytes,
            bytes: tally.bytes,
            unframed_bytes: tally.unframed_bytes,
            damage: tally.damage.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<SourceObject> for v1::SourceObject {
    fn from(object: SourceObject) -> Self {
        let SourceObject { key, bytes, etag, modified } = object;
        Self { key, bytes, etag, modified }
    }
}

impl From<v1::SourceObject> for SourceObject {
    fn from(object: v1::SourceObject) -> Self {
        let v1::SourceObject { key, bytes, etag, modified } = object;
        Self { key, bytes, etag, modified }
    }
}

impl From<Damage> for v1::Damage {
    fn from(damage: Damage) -> Self {
        let Damage { byte_offset, reason, detail } = damage;
        Self { byte_offset, reason: v1::Reason::from(reason).into(), detail }
    }
}

impl TryFrom<v1::Damage> for Damage {
    type Error = Error;

    fn try_from(damage: v1::Damage) -> Result<Self> {
        let reason = damage.reason().try_into()?;
        Ok(Self { byte_offset: damage.byte_offset, reason, detail: damage.detail })
    }
}

impl From<Reason> for v1::Reason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Malformed => Self::Malformed,
            Reason::NotUtf8 => Self::NotUtf8,
            Reason::NotAnObject => Self::NotAnObject,
            Reason::WrongType => Self::WrongType,
            Reason::OutOfRange => Self::OutOfRange,
            Reason::MissingField => Self::MissingField,
            Reason::TooLong => Self::TooLong,
            Reason::TruncatedCompression => Self::TruncatedCompression,
            Reason::CorruptCompression => Self::CorruptCompression,
            Reason::UnsupportedFormat => Self::UnsupportedFormat,
            Reason::CompressionBomb => Self::CompressionBomb,
            Reason::BrokenDocument => Self::BrokenDocument,
        }
    }
}

impl TryFrom<v1::Reason> for Reason {
    type Error = Error;

    /// Converts a reason. An unknown number was decoded as [`v1::Reason::Unspecified`], which is an
    /// error.
    fn try_from(reason: v1::Reason) -> Result<Self> {
        match reason {
            v1::Reason::Unspecified => Err(Error::internal("the reason of a damage is unknown")),
            v1::Reason::Malformed => Ok(Self::Malformed),
            v1::Reason::NotUtf8 => Ok(Self::NotUtf8),
            v1::Reason::NotAnObject => Ok(Self::NotAnObject),
            v1::Reason::WrongType => Ok(Self::WrongType),
            v1::Reason::OutOfRange => Ok(Self::OutOfRange),
            v1::Reason::MissingField => Ok(Self::MissingField),
            v1::Reason::TooLong => Ok(Self::TooLong),
            v1::Reason::TruncatedCompression => Ok(Self::TruncatedCompression),
            v1::Reason::CorruptCompression => Ok(Self::CorruptCompression),
            v1::Reason::UnsupportedFormat => Ok(Self::UnsupportedFormat),
            v1::Reason::CompressionBomb => Ok(Self::CompressionBomb),
            v1::Reason::BrokenDocument => Ok(Self::BrokenDocument),
        }
    }
}
