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

/// Returns the objects around the records, each with its level and text.
fn objects_around(path: &str, text: &str, chunk: usize) -> Vec<(usize, String)> {
    let format = JsonFormat::Document { records: Some(path.into()) };
    let mut framer = Framer::for_split(&whole(text.as_bytes()), &format, MIB);
    framer.collect_all(8);
    run(&mut framer, text.as_bytes(), &[chunk]);
    let objects = framer.take_objects_around();
    objects.into_iter().map(|object| (object.level, String::from_utf8(object.text).unwrap())).collect()
}

#[test]
fn everything_around_the_records_can_be_collected() {
    for (path, text, expected) in [
        (
            "a.b",
            r#"{"x":[{}],"a":{"y":1,"b":[{"i":1}],"z":{}},"x":2}"#,
            &[(0, r#"{"x":[{}],"x":2}"#), (1, r#"{"y":1,"z":{}}"#)][..],
        ),
        (
            "p[].i",
            r#"{"n":1,"p":[{"i":[1],"k":"a"},{"i":[]},{"k":"b"}]}"#,
            &[(0, "{\"n\":1}"), (2, "{\"k\":\"a\"}"), (2, "{}"), (2, "{\"k\":\"b\"}")],
        ),
        ("u.*", r#"{"u":{"a":{"i":1}},"v":4}"#, &[(0, "{\"v\":4}")]),
        ("*", r#"{"a":1}"#, &[]),
        // A value that is too long is left out, and so is one that does not end.
        ("a", r#"{"long":"12345678","a":[],"short":"1","x":"123"#, &[(0, "{\"short\":\"1\"}")]),
        ("a", "{\"a\":[]}{\"b\":1}", &[(0, "{}"), (0, "{\"b\":1}")]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(level, text)| (*level, (*text).to_owned())).collect();
        for chunk in [1, 3, 1000] {
            assert_eq!(objects_around(path, text, chunk), expected, "{path} in {text}, {chunk}");
        }
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
