//! Tests of records inside of several objects and arrays.

use super::*;

/// Frames the records to which `path` leads.
fn framed(path: &str, text: &str) -> Vec<Seen> {
    frame(&JsonFormat::Document { records: Some(path.into()) }, MIB, text.as_bytes())
}

#[test]
fn records_inside_of_several_containers_are_found() {
    for (path, text, expected) in [
        ("a.b", r#"{"x":[{}],"a":{"y":1,"b":[{"i":1},{"i":2}],"z":{}},"b":[{}]}"#, &["{\"i\":1}", "{\"i\":2}"][..]),
        ("a.b", r#"{"a":{"b":[]}}"#, &[]),
        ("a.b", "{\"a\":{\"b\":[1]}}\n{\"a\":{\"b\":[2]}}", &["1", "2"]),
        (
            "p[].g[].i",
            r#"{"p":[{"g":[{"i":[1,2]},{"n":0,"i":[]}]},{"g":[]},{"g":[{"i":[3],"m":0}]}]}"#,
            &["1", "2", "3"],
        ),
        ("u.*", r#"{"u":{"a":{"i":1},"b]\"":2,"a":[3]},"v":4}"#, &["{\"i\":1}", "2", "[3]"]),
        ("*", r#"{"a":1,"b":{}}{"c":2}"#, &["1", "{}", "2"]),
        ("*.*[]", r#"{"a":{"b":[1],"c":[2]},"d":{}}"#, &["1", "2"]),
        ("[]", "[1,2][3]", &["1", "2", "3"]),
        ("[].i", r#"[{"i":[1]},{"i":[2]}]"#, &["1", "2"]),
        ("[][]", "[[1],[],[2,3]]", &["1", "2", "3"]),
        ("\"a.b\"", r#"{"a.b":[1]}"#, &["1"]),
    ] {
        let texts: Vec<String> = framed(path, text)
            .into_iter()
            .map(|seen| {
                assert_eq!(seen.reason, None, "{path} in {text}: {seen:?}");
                seen.text
            })
            .collect();
        assert_eq!(texts, expected, "{path} in {text}");
    }
}

#[test]
fn a_container_without_the_next_one_is_one_broken_record() {
    let flawed = |offset: usize, text: &str| broken(offset as u64, 1, Reason::BrokenDocument, text);
    for (path, text, flaws) in [
        ("a.b", r#"{"a":{}}"#, &[r#"{"a":{}"#][..]),
        ("a.b", r#"{"a":[]}"#, &[r#"{"a":[]}"#]),
        ("a.b", r#"{"b":[1]}"#, &[r#"{"b":[1]}"#]),
        ("a[].b", r#"{"a":[{"b":[1],"x":2},{"c":3},{"b":[4]}]}"#, &[r#","x":2},{"c":3}"#]),
        ("a[].b", r#"{"a":[{"b":[1]},null,{"b":[4]}]}"#, &["},null"]),
        ("a.*[]", r#"{"a":{"x":[1],"y":{},"z":[4]}}"#, &[r#","y":{}"#]),
        ("a[].b", r#"{"a":[{"b":5}]}"#, &[r#"{"a":[{"b":5}"#]),
    ] {
        let found: Vec<Seen> = framed(path, text).into_iter().filter(|seen| seen.reason.is_some()).collect();
        let expected: Vec<Seen> = flaws.iter().map(|flaw| flawed(text.find(flaw).unwrap(), flaw)).collect();
        assert_eq!(found, expected, "{path} in {text}");
    }
}
