//! Tests that encoding and decoding preserves any report, and that invalid messages are rejected.

use proptest::prelude::*;

use super::*;
use crate::read::field_counts::FieldCounts;
use crate::read::rejection::Reason;
use crate::read::scan_rows::ReadReport;
use crate::read::tally::{Damage, ObjectTally};
use crate::storage::object::SourceObject;

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z/]{1,8}", any::<String>()]
}

fn bounds() -> impl Strategy<Value = Option<Value>> {
    let numbers = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no such number", |x| x.is_finite()).prop_map(Value::from),
    ];
    proptest::option::of(prop_oneof![texts().prop_map(Value::from), numbers])
}

fn statistics() -> impl Strategy<Value = ColumnStatistics> {
    ("[a-zé]{1,5}", any::<u64>(), bounds(), bounds()).prop_map(|(column, null_count, min, max)| ColumnStatistics {
        column,
        null_count,
        min,
        max,
    })
}

fn written() -> impl Strategy<Value = WrittenFile> {
    let values = proptest::collection::btree_map(texts(), proptest::option::of(texts()), 0..3);
    let digests = proptest::option::of(any::<[u8; 4]>().prop_map(|bytes| crate::digest::of(&bytes)));
    let statistics = proptest::collection::vec(statistics(), 0..4);
    (texts(), values, any::<u64>(), any::<u64>(), digests, statistics).prop_map(
        |(path, partition_values, rows, bytes, digest, statistics)| WrittenFile {
            path,
            partition_values,
            rows,
            bytes,
            digest,
            statistics,
        },
    )
}

fn damages() -> impl Strategy<Value = Damage> {
    let reasons = (1..13_i32).prop_map(|number| v1::Reason::try_from(number).unwrap().try_into().unwrap());
    (any::<u64>(), reasons, texts()).prop_map(|(byte_offset, reason, detail)| Damage { byte_offset, reason, detail })
}

fn tallies() -> impl Strategy<Value = ObjectTally> {
    let objects = (texts(), any::<u64>(), proptest::option::of(texts()), any::<i64>())
        .prop_map(|(key, bytes, etag, modified)| SourceObject { key, bytes, etag, modified });
    (objects, any::<[u64; 9]>(), proptest::option::of(damages())).prop_map(|(object, counts, damage)| {
        let [split_start, records, staged, quarantined, templated, lines, stored_bytes, bytes, unframed_bytes] = counts;
        ObjectTally {
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
        }
    })
}

fn spooled() -> impl Strategy<Value = SpoolObject> {
    let counts = || proptest::collection::vec(any::<u64>(), 0..4);
    (texts(), counts(), proptest::collection::vec(counts(), 0..4)).prop_map(|(key, rows, chunk_bytes)| SpoolObject {
        key,
        rows,
        chunk_bytes,
    })
}

fn reports() -> impl Strategy<Value = TaskReport> {
    let counts = || proptest::collection::btree_map(texts(), any::<u64>(), 0..4);
    let fields = (counts(), counts(), counts(), any::<u64>()).prop_map(|(undeclared, nulled, filled, null_records)| {
        FieldCounts { undeclared, nulled, filled, null_records }
    });
    prop_oneof![
        tallies().prop_map(|tally| TaskReport::Read(ReadReport::Object(tally))),
        fields.prop_map(|fields| TaskReport::Read(ReadReport::Fields(fields))),
        written().prop_map(TaskReport::Staged),
        written().prop_map(TaskReport::Quarantined),
        written().prop_map(TaskReport::Table),
        spooled().prop_map(TaskReport::Spooled),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_report_is_the_same_after_encoding_and_decoding(report in reports()) {
        let message = v1::TaskReport::from(report.clone()).encode_to_vec();
        prop_assert_eq!(decode_report(&message).unwrap(), report);
    }

    #[test]
    fn any_bytes_are_a_report_or_are_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Err(error) = decode_report(&bytes) {
            prop_assert!(error.to_string().starts_with("cannot read a report: "), "{}", error);
        }
    }
}

#[test]
fn every_reason_has_a_number() {
    let reasons: Vec<Reason> = (1..).map_while(|i| v1::Reason::try_from(i).ok()?.try_into().ok()).collect();
    assert_eq!(reasons.first(), Some(&Reason::Malformed));
    for reason in reasons {
        assert_eq!(Reason::try_from(v1::Reason::from(reason)).unwrap(), reason);
    }
}

#[test]
fn an_invalid_report_is_rejected_with_the_part_that_is_wrong() {
    let value = |column: &str| v1::PartitionValue { column: column.to_owned(), value: None };
    let bounded = |value| {
        let min = Some(v1::Bound { value });
        let column = v1::ColumnStatistics { column: "a".to_owned(), min, ..Default::default() };
        v1::WrittenFile { statistics: vec![column], ..Default::default() }
    };
    let damaged = |reason| v1::ObjectTally {
        object: Some(v1::SourceObject::default()),
        damage: Some(v1::Damage { reason, ..Default::default() }),
        ..Default::default()
    };
    let digest = |text: &str| v1::WrittenFile { digest: Some(text.to_owned()), ..Default::default() };
    for (report, part) in [
        (None, "the kind of a report is missing"),
        (Some(Report::Tally(v1::ObjectTally::default())), "the object of a tally is missing"),
        (Some(Report::Tally(damaged(0))), "the reason of a damage is unknown"),
        (Some(Report::Tally(damaged(99))), "the reason of a damage is unknown"),
        (Some(Report::Tally(damaged(-1))), "the reason of a damage is unknown"),
        (Some(Report::Table(digest(""))), "the digest of a file"),
        (Some(Report::Table(digest("md5:00"))), "the digest of a file"),
        (Some(Report::Staged(digest("xxh64:ef46db3751d8e99"))), "the digest of a file"),
        (Some(Report::Staged(digest("xxh64:ef46db3751d8e99\n"))), "the digest of a file"),
        (
            Some(Report::Table(v1::WrittenFile {
                partition_values: vec![value("a"), value("a")],
                ..Default::default()
            })),
            "two values of one partition column",
        ),
        (
            Some(Report::Table(v1::WrittenFile {
                statistics: vec![v1::ColumnStatistics::default()],
                ..Default::default()
            })),
            "the column of statistics is missing",
        ),
        (Some(Report::Quarantined(bounded(None))), "the value of a bound is missing"),
        (Some(Report::Table(bounded(Some(Bound::Fraction(f64::NAN))))), "NaN is no bound"),
        (Some(Report::Table(bounded(Some(Bound::Fraction(f64::INFINITY))))), "inf is no bound"),
    ] {
        let message = v1::TaskReport { report }.encode_to_vec();
        let text = decode_report(&message).expect_err(part).to_string();
        assert!(text.starts_with("cannot read a report: ") && text.contains(part), "`{part}` is not in: {text}");
    }
    let text = decode_report(&vec![0; MAX_REPORT_BYTES + 1]).unwrap_err().to_string();
    assert_eq!(text, "a report has 16777217 bytes; up to 16777216 are allowed");
}
