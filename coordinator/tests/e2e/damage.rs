//! Tests of damaged objects, which cannot be read to their end: the run fails, skips them, or keeps
//! what could be read.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::Lake;
use crate::support::cluster::{Worker, free_port};

/// Returns a configuration with one source of ids and texts, and a table that copies it.
fn config(format: &str, settings: &str) -> String {
    format!(
        "[lake]\nurl = \"lake\"\n\n[sources.events]\nurl = \"in\"\nformat = \"{format}\"\n{settings}\n\
         [sources.events.fields]\nid = {{ type = \"long\", required = true }}\ns = \"string\"\n\n\
         [tables.events]\nsql = \"events.sql\"\nkey = [\"id\"]\n"
    )
}

fn lake(format: &str, settings: &str) -> Lake {
    Lake::of(&[("lake.toml", &config(format, settings)), ("events.sql", "SELECT id, s FROM staging.events")])
}

/// Returns one line of JSON per id.
fn lines(ids: std::ops::Range<u64>) -> String {
    // The texts do not repeat, so that they are spread over the compressed bytes.
    ids.map(|id| format!("{{\"id\":{id},\"s\":\"{:x}\"}}\n", id.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect()
}

fn gzip(lake: &Lake, text: &str) -> Vec<u8> {
    lake.write("plain", text.as_bytes());
    Command::new("gzip").arg("-c").arg(lake.path("plain")).output().expect("gzip").stdout
}

fn ids(lake: &Lake) -> Vec<i64> {
    lake.query("SELECT id FROM events ORDER BY id").iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

fn staged_files(lake: &Lake) -> usize {
    let folder = lake.path("lake/_lake/staging/events");
    std::fs::read_dir(folder).map_or(0, |files| files.filter(|file| file.is_ok()).count())
}

/// Returns a damaged object of each kind: its name, its content and a text of the error.
fn damaged_objects(lake: &Lake) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = lines(0..2000);
    let zipped = gzip(lake, &text);
    let mut flipped = zipped.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    let array = format!("[{}]", text.trim_end().replace('\n', ","));
    vec![
        ("cut.json.gz", zipped[..zipped.len() / 2].to_vec(), "the compressed object ends early"),
        ("sum.json.gz", flipped, "its checksum is wrong"),
        ("tail.json.gz", [zipped.as_slice(), b"junk"].concat(), "there is no gzip header"),
        ("half.json", text.as_bytes()[..text.len() / 2].to_vec(), "the input ends inside a record"),
        ("array.json", array.as_bytes()[..array.len() / 2].to_vec(), "the input ends inside"),
        ("comma.json", array.replacen(",{", ";{", 1).into_bytes(), "found `;` instead of `,` or `]`"),
    ]
}

#[test]
fn a_damaged_object_fails_the_run_by_name_and_once_it_is_whole_it_is_ingested_once() {
    let lake = lake("json", "");
    lake.write("in/good.json", lines(5000..5010).as_bytes());
    for (name, bytes, cause) in damaged_objects(&lake) {
        lake.write(&format!("in/{name}"), &bytes);
        let error = lake.fails(&["run"], 1);
        assert!(error.contains(name) && error.contains(" at byte ") && error.contains(cause), "{name}: {error}");
        assert!(error.contains("`on_damaged` under `[sources.events]`"), "{error}");
        assert_eq!((lake.version(), staged_files(&lake)), (0, 0), "{name}: nothing is visible, and nothing is left");
        let sample = lake.ok(&["check", "--sample", "100000"]).stdout;
        assert!(sample.contains("damaged: `") && sample.contains(name) && sample.contains("a run fails"), "{sample}");
        std::fs::remove_file(lake.path(&format!("in/{name}"))).unwrap();
    }
    // One error names all of them.
    for (name, bytes, _) in damaged_objects(&lake) {
        lake.write(&format!("in/{name}"), &bytes);
    }
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("6 objects are damaged"), "{error}");
    for (name, ..) in damaged_objects(&lake) {
        assert!(error.contains(name), "{error}");
        std::fs::remove_file(lake.path(&format!("in/{name}"))).unwrap();
    }
    lake.write("in/cut.json.gz", &gzip(&lake, &lines(0..2000)));
    lake.ok(&["run"]);
    lake.ok(&["run"]);
    assert_eq!(ids(&lake), (0..2000).chain(5000..5010).collect::<Vec<_>>());
    assert_eq!(lake.version(), 1);
}

#[test]
fn a_damaged_object_is_skipped_until_it_is_whole_and_its_neighbours_are_ingested() {
    let lake = lake("json", "on_damaged = \"skip\"");
    lake.write("in/good.json", lines(5000..5010).as_bytes());
    for (name, bytes, _) in damaged_objects(&lake) {
        lake.write(&format!("in/{name}"), &bytes);
    }
    let done = lake.ok(&["run"]);
    assert!(done.stderr.contains("6 objects damaged, skipped until the next run"), "{}", done.stderr);
    assert_eq!(ids(&lake), (5000..5010).collect::<Vec<_>>());
    assert_eq!(
        lake.query("SELECT file_name, row_count FROM system.ledger"),
        [json!({"file_name": "good.json", "row_count": 10})]
    );
    assert_eq!(lake.number("SELECT count(*) FROM system.quarantine"), 0);
    assert_eq!(staged_files(&lake), 1, "what was staged with the damaged objects is deleted");
    // The next run reads them again, and commits nothing if they are still damaged.
    let again = lake.ok(&["run"]);
    assert!(again.stderr.contains("every new object was skipped"), "{}", again.stderr);
    assert!(again.stderr.contains("6 objects damaged") && again.stderr.contains("half.json"), "{}", again.stderr);
    assert_eq!(lake.version(), 1);

    for (name, ..) in damaged_objects(&lake).into_iter().filter(|(name, ..)| *name != "half.json") {
        std::fs::remove_file(lake.path(&format!("in/{name}"))).unwrap();
    }
    lake.write("in/half.json", lines(0..2000).as_bytes());
    lake.write("in/more.json", lines(6000..6001).as_bytes());
    let done = lake.ok(&["run"]);
    assert!(!done.stderr.contains("damaged"), "{}", done.stderr);
    lake.ok(&["run"]);
    assert_eq!(ids(&lake), (0..2000).chain(5000..5010).chain([6000]).collect::<Vec<_>>());
    assert_eq!(lake.version(), 2);
}

#[test]
fn of_a_damaged_object_that_is_kept_every_byte_is_accounted_for() {
    let text = lines(0..2000);
    for (cut, name) in [(text.len() / 2, "half.json"), (text.len() / 2, "half.json.gz")] {
        let lake = lake("json", "on_damaged = \"keep\"");
        let bytes = if name.ends_with("gz") { gzip(&lake, &text[..cut]) } else { text.as_bytes()[..cut].to_vec() };
        lake.write(&format!("in/{name}"), &bytes);
        let done = lake.ok(&["run"]);
        assert!(done.stderr.contains("1 object damaged, ingested only as far as readable"), "{}", done.stderr);
        let whole = text[..cut].lines().count() as u64 - 1;
        let expected: Vec<i64> = (0..whole).map(|id| i64::try_from(id).unwrap()).collect();
        assert_eq!(ids(&lake), expected);
        let start = lines(0..whole).len();
        let rejected = lake.query("SELECT object, byte_offset, byte_end, reason, text FROM system.quarantine");
        assert_eq!(
            rejected,
            [
                json!({"object": name, "byte_offset": start, "byte_end": cut, "reason": "malformed", "text": text[start..cut]})
            ]
        );
        assert!(lake.ok(&["run"]).stderr.contains("nothing new"), "it is ingested, as far as it goes");
    }
}

/// A missing quote behind the records of a page makes the text between later strings look like
/// strings.
#[test]
fn a_damaged_page_takes_no_other_page_with_it_without_a_trace() {
    let page = |number: u64| {
        let records: Vec<String> =
            (0..200).map(|id| format!("{{\"id\":{},\"s\":\"a :] smile\"}}", 200 * number + id)).collect();
        format!("{{\"page\":{number},\"items\":[{}],\"next\":{{\"count\":3}}}}", records.join(","))
    };
    let ends = |number: u64| (0..=number).map(|number| page(number).len() + 1).sum::<usize>();
    for (separator, lost) in [("\n", 0), (" ", 3)] {
        let text: String = (0..5).map(|number| page(number) + separator).collect();
        let at = ends(1) - "\":3}} ".len();
        let damaged = format!("{} {}", &text[..at], &text[at + 1..]);
        let start = ends(1) - ",\"next\":{\"count\":3}} ".len();
        let lake = lake("json", "records = \"items\"\nmax_quarantine_share = 1.0");
        lake.write("in/pages.json", damaged.as_bytes());
        if lost > 0 {
            let error = lake.fails(&["run"], 1);
            assert!(error.contains(&format!(" at byte {start}: ")), "{error}");
        }
        lake.edit("lake.toml", "records = ", "on_damaged = \"keep\"\nrecords = ");
        lake.ok(&["run"]);
        assert_eq!(lake.number("SELECT count(*) FROM events"), 200 * (5 - lost));
        let end = if lost > 0 { damaged.len() } else { ends(1) };
        assert_eq!(
            lake.query("SELECT byte_offset, byte_end, reason FROM system.quarantine"),
            [json!({"byte_offset": start, "byte_end": end, "reason": "broken_document"})]
        );
    }
}

/// The object is not damaged, because its end is reached, so the share of rejected records decides.
#[test]
fn a_lost_brace_costs_two_records_and_the_share_holds_for_bytes_too() {
    let lake = lake("json", "");
    let text = lines(0..20_000);
    let end = lines(0..1000).len() - 2;
    lake.write("in/a.json", format!("{}\n{}", &text[..end], &text[end + 2..]).as_bytes());
    let done = lake.ok(&["run"]);
    assert!(!done.stderr.contains("damaged"), "{}", done.stderr);
    assert_eq!(ids(&lake), (0..20_000).filter(|id| !(999..1001).contains(id)).collect::<Vec<_>>());
    let rejected = lake.query("SELECT byte_offset, byte_end, line, reason FROM system.quarantine");
    let (from, to) = (lines(0..999).len(), lines(0..1001).len() - 1);
    assert_eq!(rejected, [json!({"byte_offset": from, "byte_end": to, "line": 1000, "reason": "broken_document"})]);

    let few = lake_of_junk(200);
    assert!(few.ok(&["run"]).stderr.contains("committed"));
    let error = lake_of_junk(20_000).fails(&["run"], 1);
    let junk = "no record was found in 20001 of ";
    assert!(error.contains(junk) && error.contains("`max_quarantine_share` allows 1.00 %"), "{error}");
    assert!(!error.contains("records were rejected"), "one of a thousand entries is no more than the share: {error}");
}

/// Creates a lake over a thousand records, with this many bytes of junk in the middle.
fn lake_of_junk(bytes: usize) -> Lake {
    let lake = lake("json", "");
    let text = [lines(0..500), "x".repeat(bytes), "\n".to_owned(), lines(500..1000)].concat();
    lake.write("in/a.json", text.as_bytes());
    lake
}

/// A line of JSON Lines that was cut is one malformed record, and the object is not damaged.
#[test]
fn a_cut_line_is_a_bad_record_and_not_damage() {
    let lake = lake("ndjson", "");
    let text = lines(0..1000);
    lake.write("in/a.json", &text.as_bytes()[..text.len() - 5]);
    let done = lake.ok(&["run"]);
    assert!(!done.stderr.contains("damaged"), "{}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 999);
    assert_eq!(
        lake.query("SELECT line, reason FROM system.quarantine"),
        [json!({"line": 1000, "reason": "malformed"})]
    );
}

#[test]
fn on_a_cluster_damage_is_found_and_skipped_as_on_one_machine() {
    let alone = lake("ndjson", "on_damaged = \"skip\"");
    let fill = |lake: &Lake| {
        let zipped = gzip(lake, &lines(10_000..12_000));
        lake.write("in/cut.json.gz", &zipped[..zipped.len() / 2]);
        // The object has several splits, and some share a task with the damaged object.
        lake.write("in/d.json", lines(0..5000).as_bytes());
        (0..20).for_each(|i| lake.write(&format!("in/{i}.json"), lines(20_000 + i..20_001 + i).as_bytes()));
    };
    let limits = [("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "100000")];
    fill(&alone);
    let expected: Vec<i64> = (0..5000).chain(20_000..20_020).collect();
    let done = alone.run_with(&["run"], &limits);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(ids(&alone), expected);

    let port = free_port();
    let lake = lake("ndjson", "on_damaged = \"error\"").on_cluster(port, 2);
    fill(&lake);
    let _workers = [Worker::start(port, "a"), Worker::start(port, "b")];
    let done = lake.start(&limits).end();
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("cut.json.gz` at byte ") && done.stderr.contains("on_damaged"), "{}", done.stderr);
    assert_eq!(lake.version(), 0);
    lake.edit("lake.toml", "\"error\"", "\"skip\"");
    for version in [1, 1] {
        let done = lake.start(&limits).end();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stderr.contains("1 object damaged, skipped"), "{}", done.stderr);
        assert_eq!(lake.version(), version);
    }
    assert_eq!(ids(&lake), expected);
    assert_eq!(lake.checksums(), alone.checksums());
    lake.write("in/cut.json.gz", &gzip(&lake, &lines(10_000..12_000)));
    let done = lake.start(&limits).end();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM events WHERE id BETWEEN 10000 AND 11999"), 2000);
    let twice: Vec<Value> = lake.query("SELECT file_name FROM system.ledger GROUP BY file_name HAVING count(*) > 1");
    assert!(twice.is_empty(), "{twice:?}");
}
