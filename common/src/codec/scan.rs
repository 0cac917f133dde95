//! Converts a scan to its message and back: the source, the limits, and the splits of each
//! partition.

use lakewright_proto::v1;

use crate::codec::declared_fields;
use crate::codec::fields::{number, parse_url};
use crate::config::object_patterns::ObjectPatterns;
use crate::config::records_path;
use crate::config::resolved::{JsonFormat, Limits, OnArchived, OnChange, OnDamaged, RecordFormat, Source};
use crate::error::{Error, Result};
use crate::read::scan_node::JsonScanExec;
use crate::read::split::Split;
use crate::read::wire::required;

pub(super) fn encode_scan(scan: &JsonScanExec) -> v1::JsonScan {
    let partitions = scan.partitions().iter();
    v1::JsonScan {
        source: Some(encode_source(scan.source())),
        limits: Some(encode_limits(scan.limits())),
        // Keep empty partitions, because the position of a partition is the number of its task.
        partitions: partitions
            .map(|splits| v1::ScanPartition { splits: splits.iter().map(encode_split).collect() })
            .collect(),
        max_records: scan.max_records(),
    }
}

pub(super) fn decode_scan(scan: v1::JsonScan) -> Result<JsonScanExec> {
    let splits = |partition: v1::ScanPartition| partition.splits.into_iter().map(decode_split).collect();
    let partitions = scan.partitions.into_iter().map(splits).collect::<Result<_>>()?;
    let source = decode_source(required(scan.source, "the source of a scan")?)?;
    let limits = decode_limits(&required(scan.limits, "the limits of a scan")?)?;
    let node = JsonScanExec::new(source.into(), partitions, limits.into());
    Ok(match scan.max_records {
        // Only the scans of `check --sample` limit the number of records.
        Some(max_records) => node.sampling(max_records),
        None => node,
    })
}

fn encode_split(split: &Split) -> v1::Split {
    let Split { object, range } = split.clone();
    v1::Split { object: Some(object.into()), start: range.start, end: range.end }
}

fn decode_split(split: v1::Split) -> Result<Split> {
    let object = required(split.object, "the object of a split")?;
    // The scan reads the range without checking it again.
    if split.start > split.end || split.end > object.bytes {
        return Err(Error::internal("a split is not a range of its object"));
    }
    Ok(Split { object: object.into(), range: split.start..split.end })
}

fn encode_source(source: &Source) -> v1::Source {
    let Source {
        name,
        url,
        // Only the coordinator lists objects.
        objects: _,
        allow_empty: _,
        format,
        fields,
        max_quarantine_share,
        on_change,
        on_damaged,
        on_archived,
        follow_links,
        decoding,
    } = source;
    let format = match format {
        RecordFormat::Json(JsonFormat::Lines) => v1::JsonFormat { is_lines: true, records: None },
        RecordFormat::Json(JsonFormat::Document { records }) => {
            v1::JsonFormat { is_lines: false, records: records.clone() }
        }
    };
    let format = v1::RecordFormat { format: Some(v1::record_format::Format::Json(format)) };
    let on_change = match on_change {
        OnChange::Error => v1::OnChange::Error,
        OnChange::Ignore => v1::OnChange::Ignore,
    };
    let on_damaged = match on_damaged {
        OnDamaged::Error => v1::OnDamaged::Error,
        OnDamaged::Skip => v1::OnDamaged::Skip,
        OnDamaged::Keep => v1::OnDamaged::Keep,
    };
    let on_archived = match on_archived {
        OnArchived::Error => v1::OnArchived::Error,
        OnArchived::Skip => v1::OnArchived::Skip,
    };
    v1::Source {
        name: name.clone(),
        url: url.to_string(),
        format: Some(format),
        fields: fields.iter().map(declared_fields::encode_field).collect(),
        max_quarantine_share: *max_quarantine_share,
        on_change: on_change.into(),
        on_damaged: on_damaged.into(),
        on_archived: on_archived.into(),
        follow_links: *follow_links,
        decoding: Some(declared_fields::encode_decoding(decoding)),
    }
}

fn decode_source(source: v1::Source) -> Result<Source> {
    let unknown = |setting: &str| Error::internal(format!("`{setting}` of a source is unknown"));
    let on_change = match source.on_change() {
        v1::OnChange::Error => OnChange::Error,
        v1::OnChange::Ignore => OnChange::Ignore,
        v1::OnChange::Unspecified => return Err(unknown("on_change")),
    };
    let on_damaged = match source.on_damaged() {
        v1::OnDamaged::Error => OnDamaged::Error,
        v1::OnDamaged::Skip => OnDamaged::Skip,
        v1::OnDamaged::Keep => OnDamaged::Keep,
        v1::OnDamaged::Unspecified => return Err(unknown("on_damaged")),
    };
    let on_archived = match source.on_archived() {
        v1::OnArchived::Error => OnArchived::Error,
        v1::OnArchived::Skip => OnArchived::Skip,
        v1::OnArchived::Unspecified => return Err(unknown("on_archived")),
    };
    let format = required(source.format, "the format of a source")?.format;
    let format = match required(format, "the format of a source")? {
        v1::record_format::Format::Json(v1::JsonFormat { is_lines: true, .. }) => JsonFormat::Lines,
        v1::record_format::Format::Json(v1::JsonFormat { is_lines: false, records }) => {
            // The framer parses the path without checking it again.
            if records.as_deref().is_some_and(|path| records_path::parse(path).is_err()) {
                return Err(unknown("records"));
            }
            JsonFormat::Document { records }
        }
    };
    let format = RecordFormat::Json(format);
    Ok(Source {
        name: source.name,
        url: parse_url(&source.url)?,
        objects: ObjectPatterns::default(),
        allow_empty: false,
        format,
        fields: source.fields.into_iter().map(declared_fields::decode_field).collect::<Result<_>>()?,
        max_quarantine_share: source.max_quarantine_share,
        on_change,
        on_damaged,
        on_archived,
        follow_links: source.follow_links,
        decoding: declared_fields::decode_decoding(required(source.decoding, "the decoding of a source")?)?,
    })
}

fn encode_limits(limits: &Limits) -> v1::Limits {
    let Limits {
        memory_bytes,
        max_record_bytes,
        // The scratch folder is not sent, because each worker has its own.
        scratch: _,
        threads,
        split_bytes,
        concurrent_reads,
        target_file_bytes,
        max_open_files,
        max_decompression_ratio,
    } = limits;
    v1::Limits {
        memory_bytes: *memory_bytes,
        max_record_bytes: *max_record_bytes,
        threads: *threads as u64,
        split_bytes: *split_bytes,
        concurrent_reads: *concurrent_reads as u64,
        target_file_bytes: *target_file_bytes,
        max_open_files: *max_open_files as u64,
        max_decompression_ratio: *max_decompression_ratio,
    }
}

fn decode_limits(limits: &v1::Limits) -> Result<Limits> {
    Ok(Limits {
        memory_bytes: limits.memory_bytes,
        max_record_bytes: limits.max_record_bytes,
        scratch: None,
        threads: number(limits.threads)?,
        split_bytes: limits.split_bytes,
        concurrent_reads: number(limits.concurrent_reads)?,
        target_file_bytes: limits.target_file_bytes,
        max_open_files: number(limits.max_open_files)?,
        max_decompression_ratio: limits.max_decompression_ratio,
    })
}

#[cfg(test)]
mod tests {
    use lakewright_proto::v1::field_input::Input;
    use lakewright_proto::v1::field_type::Type;

    use super::*;
    use crate::config::resolved::{
        BinaryEncoding, Decoding, DocumentPlace, Field, FieldInput, FieldType, Metadata, OnInvalid, RecordKind,
        Separators, TimestampFormat, ValueRules,
    };
    use crate::config::timestamp_pattern::TimestampPattern;
    use crate::storage::object::SourceObject;

    /// Returns a source with a field of each type and each input. Every setting has a value that is
    /// not its default, and every enum one that is not its first variant.
    fn source() -> Source {
        let formats = [
            TimestampFormat::EpochSeconds,
            TimestampFormat::EpochMilliseconds,
            TimestampFormat::EpochMicroseconds,
            TimestampFormat::EpochNanoseconds,
            TimestampFormat::Rfc3339,
            TimestampFormat::Auto,
            TimestampFormat::Pattern(TimestampPattern::parse("%s").unwrap()),
        ];
        let types = [
            FieldType::String,
            FieldType::Long,
            FieldType::Double,
            FieldType::Boolean,
            FieldType::Date,
            FieldType::Time,
            FieldType::Json,
            FieldType::Timestamp(formats.to_vec()),
            FieldType::Decimal { precision: 38, scale: 38 },
            FieldType::Binary(BinaryEncoding::Base64),
            FieldType::Binary(BinaryEncoding::Hex),
            FieldType::List(Box::new(FieldType::List(Box::new(FieldType::Long)))),
            FieldType::Map(Box::new(FieldType::Map(Box::new(FieldType::Long)))),
        ];
        let field = |(i, field_type)| Field {
            name: format!("f{i}"),
            input: FieldInput::Keys(vec!["a".to_owned(), format!("k{i}")]),
            field_type,
            required: i % 2 == 0,
            rules: ValueRules {
                null_values: vec!["N/A".to_owned(), String::new()],
                on_invalid: OnInvalid::Null,
                wrap: true,
                allow_nan: true,
                zone: Some(chrono_tz::America::New_York),
                separators: Separators { thousands: Some('.'), decimal: ',' },
            },
            aliases: vec![vec!["b".to_owned(), format!("k{i}")], vec!["c".to_owned()]],
        };
        let mut fields: Vec<Field> = types.into_iter().enumerate().map(field).collect();
        fields.push(field((fields.len(), FieldType::Struct(fields.clone()))));
        fields.push(Field {
            input: FieldInput::Document(DocumentPlace { level: 2, keys: vec!["id".to_owned()] }),
            ..Field::new("page", FieldType::Long)
        });
        fields.push(Field { input: FieldInput::PathPart("year".to_owned()), ..Field::new("year", FieldType::Long) });
        for (name, metadata) in Metadata::NAMES {
            fields.push(Field { input: FieldInput::Metadata(*metadata), ..Field::new(name, FieldType::Json) });
        }
        Source {
            name: "events".to_owned(),
            url: "s3://bucket/a%20b/".parse().unwrap(),
            format: RecordFormat::Json(JsonFormat::Document { records: Some("Records".to_owned()) }),
            fields,
            max_quarantine_share: 0.25,
            on_change: OnChange::Ignore,
            on_damaged: OnDamaged::Keep,
            on_archived: OnArchived::Skip,
            follow_links: true,
            objects: ObjectPatterns::default(),
            allow_empty: false,
            decoding: Decoding {
                encoding: Some(encoding_rs::SHIFT_JIS),
                path_pattern: Some("(?<year>.)".to_owned()),
                replaces_invalid_unicode: true,
                skips_null_records: true,
                record_kind: RecordKind::Array,
            },
        }
    }

    #[test]
    fn a_source_is_the_same_after_encoding_and_decoding() {
        let json = RecordFormat::Json;
        let formats = [json(JsonFormat::Lines), json(JsonFormat::Document { records: None }), source().format];
        for format in formats {
            for on_damaged in [OnDamaged::Error, OnDamaged::Skip, OnDamaged::Keep] {
                let source = Source { format: format.clone(), on_damaged, ..source() };
                assert_eq!(decode_source(encode_source(&source)).unwrap(), source);
            }
        }
        let (on_change, on_archived) = (OnChange::Error, OnArchived::Error);
        let source = Source { on_change, on_archived, follow_links: false, ..source() };
        assert_eq!(decode_source(encode_source(&source)).unwrap(), source);
    }

    #[test]
    fn an_invalid_scan_is_rejected_with_the_part_that_is_wrong() {
        let good = || encode_source(&source());
        let keys = || Some(v1::FieldInput { input: Some(Input::Keys(v1::Keys::default())) });
        let rules = || Some(v1::ValueRules::default());
        let field = |r#type| v1::Field { r#type, input: keys(), rules: rules(), ..v1::Field::default() };
        let typed = |r#type| field(Some(v1::FieldType { r#type: Some(r#type) }));
        let decimal = |precision, scale| typed(Type::Decimal(v1::DecimalType { precision, scale }));
        let of = |field| v1::Source { fields: vec![field], ..good() };
        for (source, part) in [
            (v1::Source { url: "nowhere".to_owned(), ..good() }, "a URL is invalid"),
            (v1::Source { format: None, ..good() }, "the format of a source is missing"),
            (v1::Source { on_change: 0, ..good() }, "`on_change` of a source is unknown"),
            (v1::Source { on_damaged: 99, ..good() }, "`on_damaged` of a source is unknown"),
            (v1::Source { on_archived: -1, ..good() }, "`on_archived` of a source is unknown"),
            (of(field(None)), "the type of a field is missing"),
            (of(field(Some(v1::FieldType { r#type: None }))), "the type of a field is missing"),
            (of(typed(Type::Simple(99))), "the type of a field is unknown"),
            (of(typed(Type::Timestamp(v1::TimestampType::default()))), "the type of a field is unknown"),
            (of(v1::Field { input: None, ..field(None) }), "the input of a field is missing"),
            (
                of(v1::Field { input: Some(v1::FieldInput { input: Some(Input::Metadata(99)) }), ..field(None) }),
                "the input of a field is unknown",
            ),
            (of(v1::Field { rules: None, ..typed(Type::Simple(1)) }), "the set of rules of a field is missing"),
            (
                of(v1::Field {
                    rules: Some(v1::ValueRules { zone: Some("Mars".to_owned()), ..v1::ValueRules::default() }),
                    ..typed(Type::Simple(1))
                }),
                "the time zone of a field is unknown",
            ),
            (v1::Source { decoding: None, ..good() }, "the decoding of a source is missing"),
            (
                v1::Source {
                    decoding: Some(v1::Decoding { path_pattern: Some("(".to_owned()), ..v1::Decoding::default() }),
                    ..good()
                },
                "the path pattern of a source is invalid",
            ),
            (
                v1::Source {
                    decoding: Some(v1::Decoding { encoding: Some("utf-9".to_owned()), ..v1::Decoding::default() }),
                    ..good()
                },
                "an encoding is unknown",
            ),
            (
                v1::Source { decoding: Some(v1::Decoding { record_kind: 4, ..v1::Decoding::default() }), ..good() },
                "a kind of records is unknown",
            ),
            (of(decimal(0, 0)), "the type of a field is unknown"),
            (of(decimal(39, 0)), "the type of a field is unknown"),
            (of(decimal(300, 0)), "the type of a field is unknown"),
            (of(decimal(9, 39)), "the type of a field is unknown"),
            (of(decimal(9, -1)), "the type of a field is unknown"),
        ] {
            let text = decode_source(source).unwrap_err().to_string();
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        let object = SourceObject { key: "a".to_owned(), bytes: 9, etag: None, modified: -1 };
        for (start, end, is_valid) in [(0, 9, true), (9, 9, true), (0, 10, false), (5, 4, false), (9, u64::MAX, false)]
        {
            let split = v1::Split { object: Some(object.clone().into()), start, end };
            assert_eq!(decode_split(split).is_ok(), is_valid, "{start}..{end}");
        }
        assert_eq!(decode_scan(v1::JsonScan::default()).unwrap_err().to_string(), "the source of a scan is missing");
    }
}
