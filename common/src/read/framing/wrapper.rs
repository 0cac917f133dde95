//! ② State of the object around an array of records: its current member, and whether the array was
//! found.

/// Number of bytes of the longest escape of one byte of a key, such as `\u0041`.
const ESCAPED_BYTE_LENGTH: usize = 6;

/// The object around the array of records.
#[derive(Debug)]
pub(in crate::read) struct Wrapper {
    /// Key of the array of records.
    key: String,
    /// Key of the current member as it is written, with its quotes and escapes. If it is too long
    /// to equal `key`, only its start is kept.
    member: Vec<u8>,
    has_records: bool,
    /// Fault of the object, such as a repeated key; `None` if no fault was found yet.
    flaw: Option<String>,
}

impl Wrapper {
    pub(in crate::read) fn new(key: &str) -> Self {
        Self { key: key.to_owned(), member: Vec::new(), has_records: false, flaw: None }
    }

    pub(in crate::read) fn key(&self) -> &str {
        &self.key
    }

    pub(in crate::read) fn start(&mut self) {
        self.has_records = false;
        self.flaw = None;
    }

    pub(in crate::read) fn start_member(&mut self) {
        self.member.clear();
    }

    /// Adds bytes to the current key, up to a length at which it can no longer equal `key`.
    pub(in crate::read) fn add_to_member(&mut self, bytes: &[u8]) {
        // Add the two quotes of the key, and one byte to detect longer keys.
        let most = self.key.len() * ESCAPED_BYTE_LENGTH + 3;
        let room = most - self.member.len().min(most);
        self.member.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Starts the value of the current member, whose first byte is `first`. Returns true if the
    /// value is the array of records. Records a flaw of the object if the key of the array occurs
    /// twice, or if its value is not an array.
    pub(in crate::read) fn start_value(&mut self, first: u8) -> bool {
        // Parse the member's key, because it may contain escapes.
        if !serde_json::from_slice::<String>(&self.member).is_ok_and(|member| member == self.key) {
            return false;
        }
        if self.has_records {
            self.flaw = Some(format!("the object has the key `{}` twice", self.key));
        } else if self.flaw.is_none() && first == b'[' {
            self.has_records = true;
            return true;
        } else {
            self.flaw = Some(format!("the value of the key `{}` is not an array", self.key));
        }
        false
    }

    /// Ends the object. Returns its flaw, if it has one.
    pub(in crate::read) fn end(&mut self) -> Option<String> {
        let missing = || format!("the object has no key `{}`", self.key);
        let flaw = self.flaw.take();
        flaw.or_else(|| (!self.has_records).then(missing))
    }
}
