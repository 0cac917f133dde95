//! Moves through the text of a value that was validated as JSON, without building a tree.
//!
//! serde_json can return the text of a value, which keeps the digits of numbers, but then reads it
//! again for each level around it. A cursor reads every byte once.

/// Text that is valid JSON or the start of such a text, and an offset in it.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// A string as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonString<'a> {
    /// Text between the quotes.
    pub(super) inside: &'a str,
    pub(super) has_escapes: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Returns the text from an offset to the current one.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Skips white space. Returns the next byte without moving past it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Enters an object or an array at the current offset. Returns whether it has a first item.
    pub(super) fn enter(&mut self) -> bool {
        self.at += 1;
        self.continues(true)
    }

    /// Moves from the end of an item to the next one. Returns false after the end of the object or
    /// array, which was left.
    pub(super) fn next_item(&mut self) -> bool {
        self.continues(false)
    }

    fn continues(&mut self, is_first: bool) -> bool {
        match self.peek() {
            Some(b'}' | b']') => {
                self.at += 1;
                false
            }
            Some(b',') if !is_first => {
                self.at += 1;
                true
            }
            byte => is_first && byte.is_some(),
        }
    }

    /// Moves past the string at the current offset. Its first byte is a quote.
    pub(super) fn string(&mut self) -> JsonString<'a> {
        let start = self.at + 1;
        let has_escapes = self.skip_string();
        JsonString { inside: self.text.get(start..self.at - 1).unwrap_or_default(), has_escapes }
    }

    /// Moves past the key at the current offset and the colon after it.
    pub(super) fn key(&mut self) -> JsonString<'a> {
        self.peek();
        let key = self.string();
        self.peek();
        self.at += 1;
        key
    }

    /// Moves past a number or a word.
    pub(super) fn word(&mut self) -> &'a str {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
        self.since(start)
    }

    /// Moves past a value.
    pub(super) fn skip_value(&mut self) {
        match self.peek() {
            Some(b'{' | b'[') => self.skip_container(),
            Some(b'"') => _ = self.skip_string(),
            _ => _ = self.word(),
        }
    }

    /// Moves past the object or array at the current offset.
    pub(super) fn skip_container(&mut self) {
        let mut depth = 0;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Moves past a string. Returns whether it has escapes.
    fn skip_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(bytes.len());
        has_escapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the parts of a value with spaces between them.
    fn parts(cursor: &mut Cursor<'_>, found: &mut Vec<String>) {
        match cursor.peek() {
            Some(b'{') => {
                let mut is_inside = cursor.enter();
                while is_inside {
                    let key = cursor.key();
                    found.push(format!("{}{}=", key.inside, if key.has_escapes { "(escaped)" } else { "" }));
                    parts(cursor, found);
                    is_inside = cursor.next_item();
                }
            }
            Some(b'[') => {
                let mut is_inside = cursor.enter();
                while is_inside {
                    parts(cursor, found);
                    is_inside = cursor.next_item();
                }
            }
            Some(b'"') => found.push(cursor.string().inside.to_owned()),
            _ => found.push(cursor.word().to_owned()),
        }
    }

    #[test]
    fn every_part_of_a_value_is_found() {
        for (text, expected) in [
            (r#"{"a":1,"b":[true , null],"c":{}}"#, "a= 1 b= true null c="),
            ("[ ]", ""),
            ("{\n \"a\\\"\" : \"x\\\\\" , \"é\":[[],[-1.5e3\n]]}", "a\\\"(escaped)= x\\\\ é= -1.5e3"),
            ("\"]\"", "]"),
            ("12", "12"),
        ] {
            let (mut cursor, mut found) = (Cursor::new(text), Vec::new());
            parts(&mut cursor, &mut found);
            assert_eq!((found.join(" ").as_str(), cursor.offset()), (expected, text.len()), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_cut_off_ends_every_value() {
        let text = "{\"a\": [1, {\"é\": \"\\u00e9\"}], \"b\": tru";
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let (mut cursor, mut found) = (Cursor::new(&text[..end]), Vec::new());
            parts(&mut cursor, &mut found);
            assert!(cursor.peek().is_none(), "{end}");
        }
    }

    #[test]
    fn a_container_is_skipped_to_its_end() {
        let mut cursor = Cursor::new(r#"{"a":[{"]":"}\""}]},1"#);
        cursor.skip_container();
        assert_eq!(cursor.since(0), r#"{"a":[{"]":"}\""}]}"#);
        assert_eq!(cursor.peek(), Some(b','));
    }
}
