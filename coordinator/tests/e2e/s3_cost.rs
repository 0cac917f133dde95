//! Estimates of a run's requests to S3, compared with the requests that it makes.

use crate::support::s3::Place;
use crate::support::{Lake, repository};

/// Returns the dollars in the last line of the table in `text`.
fn dollars(text: &str) -> Vec<f64> {
    let line =
        text.lines().find(|line| line.starts_with("dollars ")).unwrap_or_else(|| panic!("no dollars in: {text}"));
    line.split_whitespace().skip(1).map(|amount| amount.parse().expect("an amount")).collect()
}

fn assert_close(expected: f64, made: f64, text: &str) {
    assert!(made > 0.0 && (expected / made - 1.0).abs() <= 0.1, "{expected} expected, {made} made: {text}");
}

#[test]
fn the_estimate_of_check_is_close_to_the_cost_of_the_run() {
    let place = Place::own();
    let lake = Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data")).on_s3(&place);
    for run in 1..=4 {
        if run > 1 {
            for i in 0..run * 20 {
                let song = format!(
                    "{{\"song_id\": \"SO{run}-{i}\", \"artist_id\": \"AR{i}\", \"title\": \"t\", \"year\": {}}}",
                    1990 + i % 7
                );
                place.put(&format!("data/song_data/more-{run}-{i}.json"), song.as_bytes());
            }
        }
        let checked = lake.ok(&["check"]).stdout;
        let done = lake.ok(&["run"]).stderr;
        let [expected, made] = dollars(&done)[..] else { panic!("two amounts side by side: {done}") };
        assert_close(expected, made, &done);
        assert_close(dollars(&checked)[0], made, &format!("{checked}\n{done}"));
    }
    // Prices come from the configuration, and the arithmetic is printed.
    place.put("data/song_data/last.json", br#"{"song_id": "SOLAST", "artist_id": "AR1", "title": "t"}"#);
    let dear = [
        ("LAKEWRIGHT__PRICES__GET", "100"),
        ("LAKEWRIGHT__PRICES__PUT", "0"),
        ("LAKEWRIGHT__PRICES__TRANSFER", "1000"),
    ];
    let checked = lake.run_with(&["check"], &dear).stdout;
    assert!(checked.contains(" x 100 / 1000 = ") && checked.contains(" x 1000 / GB = "), "{checked}");
    assert!(dollars(&checked)[0] > 1.0, "{checked}");

    // Folders cost nothing.
    let folders = Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data"));
    assert!(!folders.ok(&["check"]).stdout.contains("dollars"));
}
