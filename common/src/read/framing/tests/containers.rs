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

/// A member around the records: its level, the number of its object, its key and its value.
type Member = (usize, u64, String, Option<String>);

/// Returns the members around the records, and for each level the numbers of objects that were opened
/// and closed.
fn around(path: &str, text: &str, chunk: usize) -> (Vec<Member>, Vec<(usize, u64, u64)>) {
    let format = JsonFormat::Document { records: Some(path.into()) };
    let mut framer = Framer::for_split(&whole(text.as_bytes()), &format, MIB);
    framer.observe();
    run(&mut framer, text.as_bytes(), &[chunk]);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let members = framer.take_members_around().into_iter().map(|member| {
        let value = member.value.map(text);
        assert!(value.as_ref().is_none_or(|value| value.len() as u64 == member.bytes));
        (member.level, member.number, text(member.key), value)
    });
    let members = members.collect();
    (members, framer.objects_around().iter().map(|objects| (objects.level, objects.opened, objects.closed)).collect())
}

#[test]
fn everything_around_the_records_can_be_observed() {
    for (path, text, members, objects) in [
        (
            "a.b",
            r#"{"x":[{}],"a":{"y":1,"b":[{"i":1}],"z":{}},"x" : 2 }"#,
            &[(0, 0, "\"x\"", "[{}]"), (1, 0, "\"y\"", "1"), (1, 0, "\"z\"", "{}"), (0, 0, "\"x\"", "2")][..],
            &[(0, 1, 1), (1, 1, 1)][..],
        ),
        (
            "p[].i",
            r#"{"n":1,"p":[{"i":[1],"k":"a"},{"i":[]},{"k":"b"}]}"#,
            &[(0, 0, "\"n\"", "1"), (2, 0, "\"k\"", "\"a\""), (2, 2, "\"k\"", "\"b\"")],
            &[(0, 1, 1), (2, 3, 3)],
        ),
        ("u.*", r#"{"u":{"a":{"i":1}},"v":4}"#, &[(0, 0, "\"v\"", "4")], &[(0, 1, 1)]),
        ("*", r#"{"a":1}"#, &[], &[]),
        // A value that does not end is left out, and its object is not read to its end.
        ("a", r#"{"a":[],"short":"1","x":"123"#, &[(0, 0, "\"short\"", "\"1\"")], &[(0, 1, 0)]),
        ("a", "{\"a\":[]}{\"b\":1}", &[(0, 1, "\"b\"", "1")], &[(0, 2, 2)]),
    ] {
        let text_of = |text: &str| text.to_owned();
        let members: Vec<Member> = members
            .iter()
            .map(|(level, number, key, value)| (*level, *number, text_of(key), Some(text_of(value))))
            .collect();
        for chunk in [1, 3, 1000] {
            assert_eq!(around(path, text, chunk), (members.clone(), objects.to_vec()), "{path} in {text}, {chunk}");
        }
    }
    // A large value has only its size.
    let text = format!("{{\"a\":[],\"large\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(around("a", &text, 1 << 16).0, [(0, 0, "\"large\"".to_owned(), None)]);
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
