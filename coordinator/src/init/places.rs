//! Names the places of records in comments.

use lakewright_common::config::resolved::JsonFormat;
use lakewright_common::storage::object::SourceObject;

use super::profile::{Count, Place};

/// The objects of a source, to name places in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    objects: &'a [SourceObject],
    is_of_lines: bool,
}

impl<'a> Places<'a> {
    pub(super) fn new(objects: &'a [SourceObject], format: &JsonFormat) -> Self {
        Self { objects, is_of_lines: *format == JsonFormat::Lines }
    }

    /// Returns the key of an object. It is not escaped.
    pub(super) fn object(&self, index: usize) -> &'a str {
        self.objects.get(index).map_or("", |object| object.key.as_str())
    }

    /// Names the place of a record: `a.json, line 7` in an object of lines, `a.json, byte 120` in a
    /// document, and only the object at its start.
    pub(super) fn text(&self, place: Place) -> String {
        let key = self.object(place.object);
        match place.position {
            0 => key.to_owned(),
            line if self.is_of_lines => format!("{key}, line {line}"),
            byte => format!("{key}, byte {byte}"),
        }
    }

    /// Names the first place that was counted, if there is one.
    pub(super) fn first(&self, count: Count) -> Option<String> {
        count.first.map(|place| self.text(place))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns objects named `0.json`, `1.json` and so on.
    pub(in crate::init) fn numbered_objects(count: usize) -> Vec<SourceObject> {
        let keys = (0..count).map(|number| format!("{number}.json"));
        keys.map(|key| SourceObject { key, bytes: 1, etag: None, modified: 0 }).collect()
    }

    #[test]
    fn a_place_is_a_line_or_an_offset() {
        let objects = numbered_objects(2);
        let place = Place { object: 1, position: 7 };
        let document = JsonFormat::Document { records: None };
        assert_eq!(Places::new(&objects, &JsonFormat::Lines).text(place), "1.json, line 7");
        assert_eq!(Places::new(&objects, &document).text(place), "1.json, byte 7");
        assert_eq!(Places::new(&objects, &document).text(Place { position: 0, ..place }), "1.json");
        assert_eq!(Places::new(&[], &document).text(place), ", byte 7");
    }
}
