//! The documentation and the sample file contain every setting.

use super::*;
use crate::config::settings::{CLUSTER, DefaultValue, FIELD, LIMITS, PRICES, SOURCE, STORAGE, TABLE};

const DOCUMENTATION: &str = include_str!("../../../../docs/configuration.md");
const SAMPLE: &str = include_str!("../../../../lake.toml");

#[test]
fn the_documentation_lists_every_setting_with_its_type_and_default() {
    let row = |setting: &Setting| format!("| `{}` | {} | {} |", setting.key, setting.kind.describe(), setting.default);
    let documented: Vec<String> = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 5)
        .map(|line| line.splitn(5, '|').take(4).collect::<Vec<_>>().join("|") + "|")
        .collect();
    let known: Vec<String> = TABLES_OF_THE_FILE.iter().flat_map(|(_, settings)| settings.iter().map(row)).collect();
    assert_eq!(documented, known);
    for (head, _) in TABLES_OF_THE_FILE {
        assert!(DOCUMENTATION.contains(&format!("# `{head}`\n")), "{head}");
    }
}

/// The documented default of each setting is the default of the resolved configuration.
#[test]
fn setting_a_key_to_its_documented_default_changes_nothing() {
    let project = Project::new(
        "[lake]\nurl = 'lake'\n[sources.s]\nurl = 'in'\n[sources.s.fields]\na = 'string'\n[tables.songs]\n\
         [limits]\n[cluster]\nca = 'a'\ncert = 'b'\nkey = 'c'\n[storage.'s3://bucket']\n[prices]\n",
    );
    let places = [
        ("SOURCES__S__", SOURCE),
        ("SOURCES__S__FIELDS__A__", FIELD),
        ("TABLES__SONGS__", TABLE),
        ("LIMITS__", LIMITS),
        ("CLUSTER__", CLUSTER),
        ("STORAGE__S3://BUCKET__", STORAGE),
        ("PRICES__", PRICES),
    ];
    let expected = format!("{:?}", project.load(&[]).unwrap());
    let mut compared = 0;
    for (place, settings) in places {
        for Setting { key, default, .. } in settings {
            if matches!(default, DefaultValue::Required | DefaultValue::Described(_)) {
                continue;
            }
            let variable = format!("LAKEWRIGHT__{place}{key}");
            let config =
                project.load(&[(&variable, &default.to_string())]).unwrap_or_else(|e| panic!("{variable}: {e}"));
            assert_eq!(format!("{config:?}"), expected, "{variable}={default}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}

/// Loads the sample unchanged, and with every setting that it has in a comment.
#[test]
fn the_sample_at_the_root_loads_and_shows_every_setting() {
    let config = load_text(SAMPLE);
    let names: Vec<_> = config.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["songs", "artists", "users", "songplays", "time"]);

    // `#key = …` shows a setting, `# Words` is prose.
    let shown = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') || rest.starts_with("    ") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let everything = SAMPLE.lines().map(shown).collect::<Vec<_>>().join("\n");
    let config = load_text(&everything);
    assert!(config.cluster.is_some() && config.tables[3].checks.len() == 6);
    assert_eq!(config.sources[0].format, RecordFormat::Json(JsonFormat::Document { records: Some("items".into()) }));
    assert_shown(ROOT, &everything);
}

fn assert_shown(settings: &[Setting], text: &str) {
    for Setting { key, kind, .. } in settings {
        let is_shown = match kind {
            Kind::Section(_) | Kind::Named(_) | Kind::Fields(_) => {
                text.contains(&format!("[{key}"))
                    || text.contains(&format!(".{key}]"))
                    || text.contains(&format!("{key} = {{"))
            }
            _ => text.contains(&format!("{key} = ")),
        };
        assert!(is_shown, "`{key}` is not shown");
        assert_shown(kind.below(), text);
    }
}
