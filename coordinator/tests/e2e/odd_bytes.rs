//! Tests of objects that have another format than their names say, of links and pipes, and of text
//! from data that is shown to people. Everything that can be read is read, everything else is
//! refused by name, and no control character reaches a terminal.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::s3::TestBucket;
use crate::support::{Done, Lake};

const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.events]
url = "in"

[sources.events.fields]
id = { type = "long", required = true }
name = "string"

[tables.events]
sql = "events.sql"
key = ["id"]
"#;

/// Split size that cuts an object with a thousand records into ten splits, if the object may be
/// cut.
const SMALL_SPLITS: (&str, &str) = ("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "1500");

fn text_lake() -> Lake {
    Lake::of(&[("lake.toml", CONFIG), ("events.sql", "SELECT id, name FROM staging.events"), ("in/.keep", "")])
}

fn records(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| format!("{{\"id\": {id}, \"name\": \"{}\"}}\n", id.wrapping_mul(2_654_435_761))).collect()
}

fn gzip(lake: &Lake, text: &str) -> Vec<u8> {
    lake.write("plain", text.as_bytes());
    Command::new("gzip").arg("-c").arg(lake.path("plain")).output().expect("gzip").stdout
}

fn utf16(text: &str) -> Vec<u8> {
    [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// ZIP archive in hexadecimal with two files: `a.json` with the ids 501 and 502 and no line feed at
/// its end, and `b/c.json` with the id 503.
const ZIP: &str = "504b03041400000008000000215cd56c3749120000001700000006000000612e6a736f6eab56ca4c51b252303530ace5aa86\
    b18d6a01504b03041400000000000000215cabcaefa90c0000000c00000008000000622f632e6a736f6e7b226964223a2035\
    30337d0a504b010214031400000008000000215cd56c37491200000017000000060000000000000000000000800100000000\
    612e6a736f6e504b010214031400000000000000215cabcaefa90c0000000c00000008000000000000000000000080013600\
    0000622f632e6a736f6e504b050600000000020002006a000000680000000000";

/// Frames of `lz4` in hexadecimal with the ids 2600 to 2605, two in each frame: a frame with
/// checksums of its blocks (`-BX`), a skippable frame, a frame with its length (`--content-size`),
/// and a legacy frame (`-l`).
const LZ4: &str = "04224d187440bd39000000f6147b226964223a20323630302c20226e616d65223a20223338313535\
    3031323234227d0a230017312300d032313734393639363839227d0af748b2f400000000ae34ed0f532a4d18030000\
    0061626304224d186c404500000000000000da38000000f6137b226964223a20323630322c20226e616d65223a2022\
    353334343338313534227d0a220017332200d033313838383733393135227d0a00000000735244ee02214c18390000\
    00f6147b226964223a20323630342c20226e616d65223a202231353438333432333830227d0a230017352300d03432\
    3032373738313431227d0a";

/// A block of lz4 in hexadecimal with the ids 2606 and 2607, in the framing of Hadoop.
const HADOOP_LZ4: &str = "0000004500000038f6147b226964223a20323630362c20226e616d65223a202232353632\
    323436363036227d0a230017372300c0393231373135303731227d0a";

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_an_object_holds_is_told_by_its_bytes_and_not_by_its_name() {
    let lake = text_lake();
    let zipped = gzip(&lake, &records(0..1000));
    assert!(zipped.len() > 3000, "the test needs an object that would be cut");
    lake.write("in/zipped.json", &zipped);
    lake.write("in/plain.json.gz", records(1000..2000).as_bytes());
    lake.write("in/wide.json", &utf16(&records(2000..2500)));
    lake.write("in/twice.json.gz", &gzip(&lake, &records(2500..2600)));
    let once = lake.path("in/twice.json.gz");
    let twice = Command::new("gzip").arg("-c").arg(&once).output().expect("gzip").stdout;
    lake.write("in/twice.json.gz", &twice);
    lake.write("in/archive", &bytes_of(ZIP));
    lake.write("in/frames.json", &bytes_of(LZ4));
    lake.write("in/blocks.json", &bytes_of(HADOOP_LZ4));
    let inner = lake.path("in/blocks.json");
    let both = Command::new("gzip").arg("-c").arg(&inner).output().expect("gzip").stdout;
    lake.write("in/blocks.json", &both);
    lake.edit(
        "events.sql",
        "id, name",
        "CASE WHEN id BETWEEN 501 AND 503 AND name IS NULL THEN id + 4000 ELSE id END AS id, name",
    );
    let empty = ["in/empty.json", "in/empty.json.gz", "in/empty.zip", "in/empty.parquet"];
    empty.iter().for_each(|name| lake.write(name, b""));
    let done = lake.run_with(&["run"], &[SMALL_SPLITS]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 2611);
    assert_eq!(lake.number("SELECT max(id) FROM events"), 4503);
    assert_eq!(lake.number("SELECT count(*) FROM system.quarantine"), 0);
}

#[test]
fn what_cannot_be_read_is_refused_by_name_and_nothing_of_it_is_staged() {
    let tar = {
        let mut header = vec![0; 1024];
        header[..6].copy_from_slice(b"a.json");
        header[257..262].copy_from_slice(b"ustar");
        [header, records(0..100).into_bytes()].concat()
    };
    // The header of a frame with the id of a dictionary, and a block.
    let lz4 = b"\x04\x22\x4D\x18\x61\x40\x01\0\0\0\xD0\x02\0\0\x80{}\0\0\0\0";
    // The length 32, then a literal of 32 bytes.
    let raw_snappy = [b"\x20\x7C".to_vec(), format!("{:<32}", "{\"id\": 1, \"name\": \"x\"}").into_bytes()].concat();
    let damaged_zip = bytes_of(ZIP)[..150].to_vec();
    for (name, bytes, expected) in [
        ("a.json", b"PAR1\x15\x04\x15\x10\n{\"id\": 1}\n".as_slice(), "is a Parquet file, not JSON"),
        ("b.json", b"Obj\x01\x04\x16avro.schema\n{\"id\": 1}\n", "is an Avro file, not JSON"),
        ("c.json", &tar, "is a tar archive, not JSON"),
        ("d.json", lz4, "is compressed by lz4 with a dictionary, which is not supported"),
        ("e.json.snappy", &raw_snappy, "is compressed by snappy without framing"),
        (
            "f.json",
            b"\x8F\x11\x02\x9C\xE1\xFD\n{\"id\": 1}\n\xAA\x80\x07\x99\x81\xFE",
            "is neither text in UTF-8 nor of a known format",
        ),
    ] {
        for splits in ["1500", "128MiB"] {
            let lake = text_lake();
            lake.write("in/fine.json", records(500..510).as_bytes());
            lake.write(&format!("in/{name}"), bytes);
            let done = lake.run_with(&["run"], &[("LAKEWRIGHT__LIMITS__SPLIT_BYTES", splits)]);
            assert_eq!(done.code, Some(1), "{name}: {}", done.stderr);
            assert!(done.stderr.contains("1 object cannot be read: `"), "{}", done.stderr);
            assert!(done.stderr.contains(&format!("in/{name}`: it {expected}")), "{}", done.stderr);
            assert_eq!(lake.version(), 0);
            let sampled = lake.ok(&["check", "--sample", "5000"]).stdout;
            assert!(sampled.contains(&format!("in/{name}`: it {expected}")), "{sampled}");
        }
    }
    let lake = text_lake();
    lake.write("in/tar.json.gz", &{
        lake.write("tar", &tar);
        Command::new("gzip").arg("-c").arg(lake.path("tar")).output().expect("gzip").stdout
    });
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("tar.json.gz`: what is compressed in it is a tar archive"), "{error}");
    let lake = text_lake();
    lake.write("in/cut.zip", &damaged_zip);
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("cut.zip"), "{error}");
}

/// Creates a ZIP archive with one stored file, `a.json`, in the form of the second file in `ZIP`.
fn zip_of(content: &[u8], flags: u8, method: u8) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let header =
        [b"PK\x03\x04\x14\0".as_slice(), &[flags, 0, method, 0], &[0; 8], &length, &length, b"\x06\0\0\0a.json"];
    [&header.concat(), content].concat()
}

#[test]
fn what_is_not_supported_inside_a_compressed_object_is_not_called_damaged() {
    let lake = text_lake();
    let zipped = gzip(&lake, "{\"id\": 1}\n");
    let zeros = vec![0; 5000];
    for (name, bytes, expected) in [
        ("encrypted.zip", zip_of(b"{\"id\": 1}\n", 1, 0), "its file `a.json` is encrypted"),
        ("method.zip", zip_of(b"{\"id\": 1}\n", 0, 12), "its file `a.json` is compressed by method 12"),
        ("gz_in.zip", zip_of(&zipped, 0, 0), "its file `a.json` is compressed once more"),
        ("utf16_in.zip", zip_of(&utf16("{\"id\": 1}\n"), 0, 0), "its file `a.json` is text in UTF-16"),
        ("zeros.json", zeros.clone(), "it is a block of zero bytes, not JSON"),
        (
            "zeros.json.gz",
            gzip(&lake, &"\0".repeat(zeros.len())),
            "what is compressed in it is a block of zero bytes, not JSON",
        ),
    ] {
        for format in ["ndjson", "json"] {
            let lake = text_lake();
            lake.edit("lake.toml", "url = \"in\"", &format!("url = \"in\"\nformat = \"{format}\""));
            lake.write(&format!("in/{name}"), &bytes);
            let error = lake.fails(&["run"], 1);
            assert!(error.contains("1 object cannot be read: `"), "{name}, {format}: {error}");
            assert!(error.contains(expected), "{name}, {format}: {error}");
            // One quarantine entry is kept, and it accounts for every byte.
            lake.edit("lake.toml", "url = \"in\"", "url = \"in\"\non_damaged = \"keep\"\nmax_quarantine_share = 1.0");
            lake.ok(&["run"]);
            let entries = lake.query("SELECT reason, byte_offset, byte_end FROM system.quarantine");
            let bytes = bytes.len();
            let expected = serde_json::json!({"reason": "unsupported_format", "byte_offset": 0, "byte_end": bytes});
            assert_eq!(entries, [expected], "{name}, {format}");
        }
    }
}

#[test]
fn objects_with_byte_order_marks_that_were_put_together_are_read() {
    for format in ["ndjson", "json"] {
        let lake = text_lake();
        lake.edit("lake.toml", "url = \"in\"", &format!("url = \"in\"\nformat = \"{format}\""));
        lake.write("in/utf8.json", format!("\u{FEFF}{}\u{FEFF}{}", records(0..10), records(10..20)).as_bytes());
        lake.write("in/utf16.json", &[utf16(&records(20..30)), utf16(&records(30..40))].concat());
        lake.ok(&["run"]);
        assert_eq!(lake.number("SELECT count(*) FROM events"), 40, "{format}");
        assert_eq!(lake.number("SELECT count(*) FROM system.quarantine"), 0, "{format}");
    }
}

#[test]
fn what_cannot_be_read_is_skipped_or_kept_as_one_entry_where_the_source_says_so() {
    let parquet = b"PAR1\x15\x04\x15\x10\n{\"id\": 1}\n{\"id\": 2}\n";
    for (on_damaged, quarantined) in [("skip", 0), ("keep", 1)] {
        let lake = text_lake();
        lake.edit("lake.toml", "url = \"in\"", "url = \"in\"\nmax_quarantine_share = 1.0");
        lake.edit("lake.toml", "url = \"in\"", &format!("url = \"in\"\non_damaged = \"{on_damaged}\""));
        lake.write("in/fine.json", records(500..510).as_bytes());
        lake.write("in/odd.json", parquet);
        let done = lake.ok(&["run"]);
        assert!(done.stderr.contains("it is a Parquet file, not JSON"), "{}", done.stderr);
        assert_eq!(lake.number("SELECT count(*) FROM events"), 10, "{on_damaged}");
        let entries = lake.query("SELECT object, reason, byte_offset, byte_end FROM system.quarantine");
        assert_eq!(entries.len(), quarantined, "{on_damaged}: {entries:?}");
        let ingested = lake.number("SELECT count(*) FROM system.ledger WHERE file_name = 'odd.json'");
        assert_eq!(ingested, i64::from(on_damaged == "keep"));
        if let Some(entry) = entries.first() {
            assert_eq!((&entry["object"], &entry["reason"]), (&"odd.json".into(), &"unsupported_format".into()));
            assert_eq!((&entry["byte_offset"], &entry["byte_end"]), (&0.into(), &parquet.len().into()));
        }
    }
}

/// The object's metadata decides whether it is compressed if its name does not, and bytes that are
/// not compressed are not changed.
#[test]
fn on_s3_the_content_encoding_tells_as_well() {
    let place = TestBucket::any();
    let lake = text_lake().on_s3(&place);
    let zipped = gzip(&lake, &records(0..1000));
    place.put_encoded("in/a.json", &zipped, "gzip");
    place.put_encoded("in/b.json", records(1000..2000).as_bytes(), "gzip");
    place.put_encoded("in/c.json", records(2000..2010).as_bytes(), "utf-8");
    let done = lake.run_with(&["run"], &[SMALL_SPLITS]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 2010);
    place.put_encoded("in/d.json", b"\x0B\x05\x80{\"id\": 5000}\n\x03", "br");
    let error = lake.fails(&["run"], 1);
    assert!(error.contains("in/d.json`: it is compressed by brotli"), "{error}");
}

#[test]
fn a_link_that_leads_out_of_a_source_is_refused_unless_it_says_otherwise() {
    let lake = text_lake();
    lake.write("elsewhere/x.json", b"{\"id\": 2}\n");
    lake.write("in/a.json", b"{\"id\": 1}\n");
    symlink(lake.path("elsewhere/x.json"), lake.path("in/linked.json")).unwrap();
    for command in ["check", "run"] {
        let error = lake.fails(&[command], 1);
        assert!(error.contains("in/linked.json`") && error.contains("`follow_links = true`"), "{error}");
    }
    lake.edit("lake.toml", "url = \"in\"", "url = \"in\"\nfollow_links = true");
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 2);
}

#[test]
fn a_pipe_among_the_scratch_folders_hangs_nothing() {
    let lake = text_lake();
    lake.write("in/a.json", b"{\"id\": 1}\n");
    let trap = lake.path("scratch/lakewright-scratch-x");
    std::fs::create_dir_all(&trap).unwrap();
    assert!(Command::new("mkfifo").arg(trap.join("lock")).status().unwrap().success());
    lake.edit("lake.toml", "[sources.events]", "[limits]\nscratch = \"scratch\"\n[sources.events]");
    for arguments in [["run"].as_slice(), &["query", "SELECT * FROM events"]] {
        let mut command = lake.command(arguments);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + Duration::from_mins(1);
        while process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "`{arguments:?}` hangs");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(process.wait().unwrap().success());
    }
}

#[test]
fn a_lake_in_a_folder_with_a_percent_sign_works_run_by_run() {
    let lake = text_lake();
    lake.edit("lake.toml", "url = \"lake\"", "url = \"100% a%20b/lake\"");
    for id in 1..=3 {
        lake.write(&format!("in/{id}.json"), format!("{{\"id\": {id}}}\n").as_bytes());
        lake.ok(&["check"]);
        let done = lake.ok(&["run"]);
        assert!(!done.stderr.contains("WARN"), "{}", done.stderr);
        assert_eq!(lake.number("SELECT count(*) FROM events"), id);
    }
    let log = lake.path("100% a%20b/lake/events/_delta_log");
    assert!(log.join("00000000000000000002.json").exists());
    let tables = lake.ok(&["tables", "--json"]).stdout;
    assert!(tables.contains("\"delta_version\":2"), "{tables}");
}

/// Whether `text` has no characters that control a terminal.
fn is_safe(text: &str) -> bool {
    !text.contains(|c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202A}'..='\u{202E}'))
}

#[test]
fn text_from_data_acts_on_no_terminal_and_forges_no_line() {
    const RECORD: &str = "{\"id\": 1, \"name\": \"\\u001b]0;title\\u0007 a\\nerror: forged \\u009b31m \\u202e|\", \"x\\u001b[2J\\n\": 1}\n";
    let lake = text_lake();
    lake.write("in/a.json", RECORD.as_bytes());
    let done = lake.ok(&["run"]);
    assert!(is_safe(&done.stderr), "{:?}", done.stderr);
    assert!(done.stderr.contains("`x\\u{1b}[2J\\n` (1)"), "{}", done.stderr);

    let sql = "SELECT id, name, struct(name) AS \"na\u{1b}me\" FROM events";
    for flag in [&[][..], &["--markdown"], &["--json"], &["--jsonlines"]] {
        let shown = lake.ok(&[&["query", sql], flag].concat()).stdout;
        assert!(flag.contains(&"--json") || flag.contains(&"--jsonlines") || is_safe(&shown), "{flag:?}: {shown:?}");
        assert!(!shown.contains('\u{1b}'), "{flag:?}: {shown:?}");
        assert!(!shown.lines().any(|line| line.starts_with("error:")), "{flag:?}: {shown}");
    }
    let table = lake.ok(&["query", "SELECT name FROM events"]).stdout;
    assert!(table.contains("| \\u{1b}]0;title\\u{7} a\\nerror: forged \\u{9b}31m \\u{202e}| |"), "{table}");
    // Data is stored unchanged.
    let csv = lake.ok(&["query", "SELECT name FROM events", "--csv"]).stdout;
    assert!(csv.contains("\u{1b}]0;title\u{7} a\nerror: forged \u{9b}31m \u{202e}|"), "{csv:?}");

    // Put the same text into a rejected record, which is shown in the error of a run, in a sample
    // and in a list.
    lake.write("in/b.json", "{\"id\": \"\\u001b[2J\\n\u{9b}error: forged\u{202e}\"}\n\u{1b}[2J\u{7}\n".as_bytes());
    let refused = lake.fails(&["run"], 1);
    let sampled = lake.ok(&["check", "--sample", "10"]).stdout;
    lake.edit("lake.toml", "url = \"in\"", "url = \"in\"\nmax_quarantine_share = 1.0");
    lake.ok(&["run"]);
    let listed = lake.ok(&["quarantine", "--records", "10"]).stdout;
    for text in [refused, sampled, listed] {
        assert!(text.contains("b.json") && is_safe(&text), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{text}");
    }
}

#[test]
fn a_url_in_an_error_shows_neither_user_nor_query() {
    let lake = text_lake();
    for url in [
        "s3://bucket/lake?X-Amz-Signature=hunter2",
        "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=hunter2",
        "ftp://me:hunter2@host/x",
        "s3:/bucket?a=hunter2",
    ] {
        let Done { code, stderr, .. } = lake.run_with(&["check"], &[("LAKEWRIGHT__SOURCES__EVENTS__URL", url)]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("source `events`") && !stderr.contains("hunter2"), "{stderr}");
    }
    let environment = [
        ("LAKEWRIGHT__SOURCES__EVENTS__URL", "s3://bucket/in"),
        ("AWS_ENDPOINT_URL_S3", "http://me:hunter2@127.0.0.1:1?token=hunter2"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "k"),
    ];
    let Done { code, stderr, .. } = lake.run_with(&["check"], &environment);
    assert_ne!(code, Some(0));
    assert!(!stderr.contains("hunter2"), "{stderr}");
}
