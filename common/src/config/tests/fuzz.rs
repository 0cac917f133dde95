//! Any text as `lake.toml` loads or is rejected with faults, with the same result each time.

use lakewright_fuzz::Target;

use super::*;
use crate::error::Kind;

#[test]
fn any_text_is_a_configuration_or_has_faults_that_name_it() {
    let project = Project::new("");
    let file = project.path().join("lake.toml");
    let sample = include_str!("../../../../lake.toml");
    let all = sample.replace("\n#", "\n");
    let seeds = vec![sample.as_bytes().to_vec(), all.into_bytes(), b"[lake]\nurl = \"s3://bucket/lake\"\n".to_vec()];
    let words = &[
        "[lake]\n",
        "[sources.a]\n",
        "[sources.a.fields]\n",
        "[tables.songs]\n",
        "[limits]\n",
        "[cluster]\n",
        "[[",
        "]]",
        " = ",
        "struct<a: list<",
        ">>",
        "decimal(38,9)",
        "timestamp(ms)",
        "url = \"",
        "s3://",
        "file:///",
        "\"\"\"",
        "{ type = ",
        "from = ",
        "checks = [{",
        "range = { min = 0 }",
        "references = ",
        "\"1e999GB\"",
        "-1",
        "'",
        "\u{0}",
        "%2f",
        "..",
    ];
    Target { name: "config", words, seeds }.run(|input| {
        let text = String::from_utf8_lossy(input);
        std::fs::write(&file, text.as_bytes()).unwrap();
        let load = || project.load(&[("LAKEWRIGHT__LIMITS__THREADS", "3")]);
        let (first, second) = (load(), load());
        match (first, second) {
            (Ok(first), Ok(second)) => {
                assert_eq!(format!("{first:?}"), format!("{second:?}"));
                format!("{} sources {} tables", first.sources.len(), first.tables.len())
            }
            (Err(first), Err(second)) => {
                assert_eq!(first.to_string(), second.to_string());
                assert_eq!(first.kind, Kind::Configuration, "{first}");
                first.to_string()
            }
            (first, second) => panic!("{first:?} first, then {second:?}"),
        }
    });
}
