//! Tests of the generator's guarantees: equal seeds give equal bytes, the data resembles the real
//! data, shares are as requested, and the documented command writes the sample in the repository.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::calendar::Calendar;
use crate::user::User;

/// Options of the command in `data/README.md`.
const SAMPLE: Options = Options { songs: 120, events: 2500, users: 30, files: 10, seed: 2018, ..PLAIN };

/// Options with the default shares of the command line and a small amount of data.
const PLAIN: Options = Options {
    songs: 1000,
    events: 20_000,
    users: 300,
    files: 7,
    seed: 1,
    duplicate_songs: 0.01,
    conflicting_artists: 0.2,
    level_changes: 0.3,
    unmatched_plays: 0.8,
    malformed_lines: 0.0,
    duplicate_events: 0.005,
};

/// Returns the contents of every file below `folder`, by relative path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

struct Generated {
    files: BTreeMap<String, Vec<u8>>,
    written: Written,
}

fn generated(options: &Options) -> Generated {
    let folder = tempfile::tempdir().unwrap();
    let written = generate(options, folder.path()).unwrap();
    Generated { files: files(folder.path()), written }
}

impl Generated {
    fn songs(&self) -> Vec<Value> {
        let files = self.files.iter().filter(|(path, _)| path.starts_with("song_data/"));
        files.map(|(_, text)| serde_json::from_slice(text).unwrap()).collect()
    }

    /// Returns the lines of all log files in order, each with the path of its file.
    fn lines(&self) -> Vec<(&str, &[u8])> {
        let files = self.files.iter().filter(|(path, _)| path.starts_with("log_data/"));
        let lines =
            files.flat_map(|(path, text)| text.split(|byte| *byte == b'\n').map(move |line| (path.as_str(), line)));
        lines.filter(|(_, line)| !line.is_empty()).collect()
    }

    fn events(&self) -> Vec<Value> {
        self.lines().iter().map(|(_, line)| serde_json::from_slice(line).unwrap()).collect()
    }
}

fn assert_share(hits: usize, of: usize, share: f64) {
    let found = hits as f64 / of as f64;
    assert!((found - share).abs() <= 0.15 * share, "{hits} of {of} is {found:.4}, not about {share}");
}

#[test]
fn the_sample_in_the_repository_is_what_its_command_writes() {
    let data = Path::new("..");
    let command = "--songs 120 --events 2500 --users 30 --files 10 --seed 2018 --out";
    assert!(fs::read_to_string(data.join("README.md")).unwrap().contains(command), "the README states the command");
    let sample = generated(&SAMPLE);
    for folder in ["song_data", "log_data"] {
        let committed = files(&data.join(folder));
        let prefix = format!("{folder}/");
        let written: BTreeMap<_, _> = sample
            .files
            .iter()
            .filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?.to_owned(), text.clone())))
            .collect();
        assert!(committed.keys().eq(written.keys()), "the same files in {folder}");
        for (path, text) in &committed {
            assert!(*text == written[path], "the same bytes in {folder}/{path}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = generated(&PLAIN);
    assert!(first.files == generated(&PLAIN).files);
    let other = generated(&Options { seed: 2, ..PLAIN });
    assert_eq!(first.written.songs, other.written.songs);
    assert!(first.files != other.files);
}

#[test]
fn as_many_songs_lines_and_files_as_asked_for_are_written_and_counted() {
    let all = generated(&PLAIN);
    assert_eq!(all.songs().len(), 1000);
    assert_eq!(all.lines().len(), 20_000);
    assert_eq!(all.files.keys().filter(|path| path.starts_with("log_data/2018/11/2018-11-0")).count(), 7);
    let distinct: BTreeSet<_> = all.lines().iter().map(|(_, line)| *line).collect();
    assert_eq!(20_000 - distinct.len() as u64, all.written.duplicate_events);
    let plays = distinct.iter().filter(|line| String::from_utf8_lossy(line).contains("\"page\":\"NextSong\"")).count();
    assert_eq!(plays as u64, all.written.plays);
    assert_eq!(all.files.values().map(|text| text.len() as u64).sum::<u64>(), all.written.bytes);
}

#[test]
fn songs_have_the_fields_of_the_real_ones_in_their_order() {
    let all = generated(&PLAIN);
    let fields = [
        "{\"num_songs\": ",
        ", \"artist_id\": ",
        ", \"artist_latitude\": ",
        ", \"artist_longitude\": ",
        ", \"artist_location\": ",
        ", \"artist_name\": ",
        ", \"song_id\": ",
        ", \"title\": ",
        ", \"duration\": ",
        ", \"year\": ",
    ];
    for (path, text) in all.files.iter().filter(|(path, _)| path.starts_with("song_data/")) {
        let text = std::str::from_utf8(text).unwrap();
        let places: Vec<_> = fields.iter().map(|field| text.find(field).unwrap()).collect();
        assert!(places.is_sorted() && text.is_ascii() && text.ends_with('}'), "{text}");
        let (folder, name) = path.rsplit_once('/').unwrap();
        assert_eq!(name.len(), 23);
        assert_eq!(folder, format!("song_data/{}/{}/{}", &name[2..3], &name[3..4], &name[4..5]));
    }
}

#[test]
fn events_have_the_fields_of_the_real_ones_in_their_order() {
    let all = generated(&PLAIN);
    let fields = [
        "artist",
        "auth",
        "firstName",
        "gender",
        "itemInSession",
        "lastName",
        "length",
        "level",
        "location",
        "method",
        "page",
        "registration",
        "sessionId",
        "song",
        "status",
        "ts",
        "userAgent",
        "userId",
    ];
    for (_, line) in all.lines() {
        let text = std::str::from_utf8(line).unwrap();
        let places: Vec<_> = fields.iter().map(|field| text.find(&format!("\"{field}\":")).unwrap()).collect();
        assert!(places.is_sorted() && text.is_ascii(), "{text}");
        assert!(!text.replace("\\/", "").contains('/'), "a slash is escaped: {text}");
        let event: Value = serde_json::from_str(text).unwrap();
        assert!(event["userId"].is_string() && event["ts"].is_i64());
        let logged_out = event["auth"] == "Logged Out";
        assert_eq!(event["userId"] == "", logged_out);
        for field in ["firstName", "lastName", "gender", "location", "registration", "userAgent"] {
            assert_eq!(event[field].is_null(), logged_out, "{field}: {text}");
        }
        for field in ["artist", "song", "length"] {
            assert_eq!(event[field].is_null(), event["page"] != "NextSong", "{field}: {text}");
        }
    }
    for (_, text) in all.files.iter().filter(|(path, _)| path.starts_with("log_data/")) {
        assert!(!text.ends_with(b"\n"));
    }
}

#[test]
fn every_event_lies_in_the_file_of_its_day_and_in_the_order_of_time() {
    let all = generated(&Options { duplicate_events: 0.0, ..PLAIN });
    let mut last = 0;
    for ((path, _), event) in all.lines().into_iter().zip(all.events()) {
        let ts = event["ts"].as_i64().unwrap();
        assert!(ts >= last);
        last = ts;
        let date = chrono::DateTime::from_timestamp_millis(ts).unwrap();
        assert_eq!(path, date.format("log_data/%Y/%m/%Y-%m-%d-events.json").to_string());
    }
}

#[test]
fn an_event_is_known_by_its_session_and_its_place_in_it() {
    let all = generated(&PLAIN);
    let mut seen = HashMap::new();
    for (_, line) in all.lines() {
        let event: Value = serde_json::from_slice(line).unwrap();
        let key = (event["sessionId"].as_u64(), event["itemInSession"].as_u64());
        assert_eq!(*seen.entry(key).or_insert(line), line);
    }
}

#[test]
fn the_share_of_duplicate_songs_is_met_and_half_of_them_have_an_id_of_their_own() {
    let all = generated(&Options { duplicate_songs: 0.2, songs: 3000, ..PLAIN });
    let songs = all.songs();
    let text = |song: &Value, field: &str| song[field].to_string();
    let contents: BTreeSet<_> =
        songs.iter().map(|song| ["title", "artist_name", "duration"].map(|field| text(song, field))).collect();
    let ids: BTreeSet<_> = songs.iter().map(|song| text(song, "song_id")).collect();
    assert_share(songs.len() - contents.len(), songs.len(), 0.2);
    assert_share(songs.len() - ids.len(), songs.len(), 0.1);
}

#[test]
fn the_share_of_conflicting_artists_is_met() {
    for (share, expected) in [(0.0, 0.0), (0.4, 0.4), (1.0, 1.0)] {
        let all = generated(&Options { conflicting_artists: share, duplicate_songs: 0.0, songs: 6000, ..PLAIN });
        let mut descriptions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for song in all.songs() {
            let description = ["artist_name", "artist_location", "artist_latitude", "artist_longitude"];
            let description = description.map(|field| song[field].to_string()).join(" ");
            descriptions.entry(song["artist_id"].to_string()).or_default().push(description);
        }
        let several: Vec<_> = descriptions.values().filter(|told| told.len() > 1).collect();
        assert!(several.len() > 500);
        let conflicting = several.iter().filter(|told| told.iter().any(|other| *other != told[0])).count();
        assert_share(conflicting, several.len(), expected);
    }
}

#[test]
fn the_share_of_level_changes_is_met() {
    for share in [0.0, 0.3, 1.0] {
        let options = Options { level_changes: share, ..PLAIN };
        let calendar = Calendar::new(30, 1000);
        // Leave out Lily, because her level always changes.
        let changing = (1..5000).filter(|number| User::at(&options, &calendar, *number).changes_level()).count();
        assert_share(changing, 4999, share);
    }
    let levels = generated(&PLAIN).events().iter().fold(HashMap::<_, BTreeSet<_>>::new(), |mut levels, event| {
        levels.entry(event["userId"].to_string()).or_default().insert(event["level"].to_string());
        levels
    });
    assert!(levels.values().filter(|levels| levels.len() == 2).count() > 20);
}

#[test]
fn the_share_of_unmatched_plays_is_met() {
    for share in [0.0, 0.8, 1.0] {
        let all = generated(&Options { unmatched_plays: share, ..PLAIN });
        let key = |song: &Value, fields: [&str; 3]| fields.map(|field| song[field].to_string());
        let songs: BTreeSet<_> =
            all.songs().iter().map(|song| key(song, ["title", "artist_name", "duration"])).collect();
        let mut plays = all.events();
        plays.retain(|event| event["page"] == "NextSong");
        let unmatched = plays.iter().filter(|play| !songs.contains(&key(play, ["song", "artist", "length"]))).count();
        if share == 1.0 {
            assert_eq!(unmatched, plays.len() - 1, "all but the last");
        } else {
            assert_share(unmatched, plays.len(), share);
        }
    }
}

#[test]
fn the_shares_of_malformed_lines_and_duplicate_events_are_met() {
    let all = generated(&Options { malformed_lines: 0.05, duplicate_events: 0.1, ..PLAIN });
    let is_event = |line: &[u8]| serde_json::from_slice::<Value>(line).is_ok_and(|event| event["ts"].is_i64());
    let malformed = all.lines().iter().filter(|(_, line)| !is_event(line)).count();
    assert_eq!(malformed as u64, all.written.malformed_lines);
    assert_share(malformed, 20_000, 0.05);
    assert_share(all.written.duplicate_events as usize, 20_000, 0.095);
    let mut first_file = HashMap::new();
    let lines = all.lines().into_iter().filter(|(_, line)| is_event(line));
    let late = lines.filter(|(file, line)| *first_file.entry(*line).or_insert(*file) != *file).count();
    // In all files except the first, half of the duplicates are late.
    assert_share(late, all.written.duplicate_events as usize, 0.5 * 6.0 / 7.0);
}

#[test]
fn lily_has_one_paid_play_and_it_is_setanta_matins_by_elena() {
    let shares =
        Options { malformed_lines: 1.0, duplicate_events: 1.0, unmatched_plays: 1.0, level_changes: 0.0, ..PLAIN };
    for options in [PLAIN, SAMPLE, shares, Options { events: 1, files: 40, users: 1, songs: 1, ..PLAIN }] {
        let all = generated(&options);
        let is_event = |line: &(&str, &[u8])| serde_json::from_slice::<Value>(line.1).ok();
        let paid: Vec<_> = all
            .lines()
            .iter()
            .filter_map(is_event)
            .filter(|event| event["firstName"] == "Lily" && event["level"] == "paid" && event["page"] == "NextSong")
            .filter(|event| event["ts"].is_i64())
            .collect();
        assert_eq!(paid.len(), 1);
        let song = all.songs().into_iter().find(|song| song["title"] == "Setanta matins").unwrap();
        assert_eq!(paid[0]["song"], song["title"]);
        assert_eq!(paid[0]["artist"], "Elena");
        assert_eq!(song["artist_name"], "Elena");
        assert_eq!(paid[0]["length"], song["duration"]);
        assert_eq!(paid[0]["userId"], "2");
    }
}

#[test]
fn a_folder_that_holds_something_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let error = generate(&PLAIN, folder.path()).unwrap_err();
    assert!(error.to_string().ends_with("is not empty"), "{error}");
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn the_number_of_sessions_going_on_never_exceeds_the_number_of_users() {
    let options = Options { events: 20_000, files: 1, users: 10, ..PLAIN };
    let calendar = Calendar::new(options.files, options.events);
    let mut log = log::Log::new(&options, calendar);
    let day = calendar.days().next().unwrap();
    let mut written = Written::default();
    for line in 0..day.lines {
        log.next_line(&day, line, &mut written).unwrap();
        assert!(log.going_on() <= 10);
    }
}
