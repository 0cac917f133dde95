//! ② Whole-document JSON, streamed: one object, several, an array of records, or an array under a key.
//!
//! What stands between records is checked to the byte. Where a comma is missing or too many, a bracket does not match or
//! anything else stands, the records before it stay and all that follows is one broken record. A record whose brackets
//! match is a record, whatever is wrong inside it: that is for the decoder. The other members of an object around the
//! array are skipped without being kept.

use bytes::Bytes;
use memchr::memchr_iter;

use crate::read::framing::{Found, too_long};
use crate::read::quarantine::KEPT_TEXT_BYTES;
use crate::read::rejection::Reason;
use crate::read::value::{Scanned, ValueScan};
use crate::read::window::Window;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// What is kept of text that is no record: as much as the quarantine keeps.
const KEPT_BYTES: u64 = KEPT_TEXT_BYTES as u64;
/// The longest way to write one byte of a key: `\u0041`.
const ESCAPED_BYTE_LENGTH: usize = 6;

/// Frames the records of one document.
#[derive(Debug)]
pub struct DocumentFramer {
    window: Window,
    max_record_bytes: u64,
    /// The array of records lies in an object around it.
    wrapper: Option<Wrapper>,
    state: State,
    value: ValueScan,
    /// Line feeds before the offset `counted_to`.
    line_feeds: u64,
    counted_to: u64,
    /// The line of what was begun last.
    begun_line: u64,
    is_ended: bool,
    /// Why the bytes end here, if not because there are no more.
    fault: Option<(Reason, String)>,
}

/// The object around the array of records.
#[derive(Debug)]
struct Wrapper {
    /// Of the array.
    key: String,
    /// The member's key at hand, as written, no more of it than could be `key`.
    member: Vec<u8>,
    has_records: bool,
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// So many bytes of a byte order mark were seen.
    Start(usize),
    /// A top-level value, or the end.
    Top,
    /// The rest of a value.
    Value(Role),
    /// The first item of the array of records, or its end.
    FirstItem,
    /// An item after a comma.
    Item,
    /// A comma after an item, or the array's end.
    AfterItem,
    /// The first member of the object around the array, or its end.
    FirstMember,
    /// A member after a comma.
    Member,
    Colon,
    MemberValue,
    /// A comma after a member, or the object's end.
    AfterMember,
    /// Framing was lost; the text is collected.
    Broken(Reason, String),
    Done,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A record at the top.
    Document,
    /// A record in the array.
    Item,
    /// The key of a member of the object around the array.
    Key,
    /// A member to skip.
    Skipped,
}

impl DocumentFramer {
    /// `records` is the key of the array of records, where it lies in an object.
    pub(super) fn new(records: Option<&str>, max_record_bytes: u64) -> Self {
        let wrapper = |key: &str| Wrapper { key: key.to_owned(), member: Vec::new(), has_records: false };
        Self {
            window: Window::new(0),
            max_record_bytes,
            wrapper: records.map(wrapper),
            state: State::Start(0),
            value: ValueScan::default(),
            line_feeds: 0,
            counted_to: 0,
            begun_line: 1,
            is_ended: false,
            fault: None,
        }
    }

    pub(super) fn push(&mut self, chunk: &Bytes) {
        self.count_lines();
        self.window.push(chunk);
    }

    pub(super) fn finish(&mut self, fault: Option<(Reason, String)>) {
        self.is_ended = true;
        self.fault = fault;
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) fn lines(&self) -> u64 {
        self.line_feeds + memchr_iter(b'\n', self.window.since(self.counted_to)).count() as u64
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    /// The next record that is complete.
    pub(super) fn advance(&mut self) -> Option<Found> {
        loop {
            match self.state {
                State::Done => return None,
                State::Broken(..) => return self.collect_broken(),
                State::Value(role) if !self.window.rest().is_empty() => {
                    let found = self.scan_value(role);
                    if found.is_some() {
                        return found;
                    }
                }
                State::Value(_) => {
                    if !self.turn_chunk() {
                        return None;
                    }
                }
                _ => match self.next_byte() {
                    Some(byte) => self.step(byte),
                    None if !self.turn_chunk() => return None,
                    None => {}
                },
            }
        }
    }

    /// The next byte that is not white space, not yet passed.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = self.window.rest();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        // Inside a byte order mark white space means nothing.
        let skipped = match self.state {
            State::Start(seen) if seen > 0 => 0,
            _ => rest.iter().position(|byte| !is_space(byte)).unwrap_or(rest.len()),
        };
        let byte = rest.get(skipped).copied();
        self.window.advance(skipped);
        byte
    }

    /// Passes one byte between values.
    fn step(&mut self, byte: u8) {
        match (&self.state, byte) {
            (State::Start(seen), _) => self.step_at_start(*seen, byte),
            (State::Top, b'{') if self.wrapper.is_some() => {
                self.begin();
                self.pass(State::FirstMember);
                if let Some(wrapper) = &mut self.wrapper {
                    wrapper.has_records = false;
                }
            }
            (State::Top, b'{') => self.begin_value(byte, Role::Document),
            (State::Top, b'[') if self.wrapper.is_none() => self.pass(State::FirstItem),
            (State::Top, _) => {
                let detail = match &self.wrapper {
                    None => format!("{} stands where a record should begin", name(byte)),
                    Some(Wrapper { key, .. }) => {
                        format!("{} stands where an object with the key `{key}` should begin", name(byte))
                    }
                };
                self.lose(detail);
            }
            (State::FirstItem | State::AfterItem, b']') => {
                self.pass(if self.wrapper.is_some() { State::AfterMember } else { State::Top });
            }
            (State::FirstItem | State::Item, _) => self.begin_value(byte, Role::Item),
            (State::AfterItem, b',') => self.pass(State::Item),
            (State::AfterItem, _) => {
                self.lose(format!("{} stands where `,` or `]` should follow a record", name(byte)))
            }
            (State::FirstMember | State::AfterMember, b'}') => self.end_wrapper(),
            (State::FirstMember | State::Member, b'"') => {
                if let Some(wrapper) = &mut self.wrapper {
                    wrapper.member.clear();
                }
                self.begin_value(byte, Role::Key);
            }
            (State::AfterMember, b',') => self.pass(State::Member),
            (State::Colon, b':') => self.pass(State::MemberValue),
            (State::MemberValue, _) => self.begin_member_value(byte),
            (State::FirstMember | State::Member | State::AfterMember | State::Colon, _) => {
                self.lose(format!("{} stands between the members of the object around the records", name(byte)));
            }
            (State::Value(_) | State::Broken(..) | State::Done, _) => {}
        }
    }

    /// A byte order mark, or something else.
    fn step_at_start(&mut self, seen: usize, byte: u8) {
        if self.window.offset() == seen as u64 && BYTE_ORDER_MARK.get(seen) == Some(&byte) {
            if seen == 0 {
                self.begin();
            }
            self.pass(State::Start(seen + 1));
        } else if seen == 0 || seen == BYTE_ORDER_MARK.len() {
            self.window.release();
            self.state = State::Top;
        } else {
            self.lose(format!("{} stands inside a byte order mark", name(byte)));
        }
    }

    fn end_wrapper(&mut self) {
        match &self.wrapper {
            Some(wrapper) if !wrapper.has_records => {
                let detail = format!("the object has no key `{}`", wrapper.key);
                self.lose(detail);
            }
            _ => self.pass(State::Top),
        }
    }

    fn begin_member_value(&mut self, byte: u8) {
        let Some(wrapper) = self.wrapper.as_mut().filter(|wrapper| wrapper.is_at_records()) else {
            self.begin_value(byte, Role::Skipped);
            return;
        };
        if wrapper.has_records {
            let detail = format!("the object has the key `{}` twice", wrapper.key);
            self.lose(detail);
        } else if byte == b'[' {
            wrapper.has_records = true;
            self.window.release();
            self.pass(State::FirstItem);
        } else {
            let detail = format!("the value of the key `{}` is not an array", wrapper.key);
            self.lose(detail);
        }
    }

    fn begin_value(&mut self, first: u8, role: Role) {
        if !self.value.begin(first) {
            self.lose(format!("{} stands where a value should", name(first)));
            return;
        }
        if role.is_record() {
            self.begin();
        }
        self.state = State::Value(role);
    }

    /// Goes on in a value; gives it out if it is a record and ends in this chunk.
    fn scan_value(&mut self, role: Role) -> Option<Found> {
        let rest = self.window.rest();
        let (passed, scanned) = match self.value.scan(rest) {
            Scanned::More => (rest.len(), Scanned::More),
            Scanned::End(length) => (length, Scanned::End(length)),
            Scanned::Lost(length) => (length, Scanned::Lost(length)),
        };
        if let (Role::Key, Some(wrapper)) = (role, &mut self.wrapper) {
            wrapper.add_to_member(&rest[..passed]);
        }
        self.window.advance(passed);
        match scanned {
            Scanned::More => return None,
            Scanned::Lost(_) => {
                self.lose("the brackets do not match".to_owned());
                return None;
            }
            Scanned::End(_) => {}
        }
        self.state = match role {
            Role::Document => State::Top,
            Role::Item => State::AfterItem,
            Role::Key => State::Colon,
            Role::Skipped => State::AfterMember,
        };
        if !role.is_record() {
            return None;
        }
        let taken = self.window.take(self.max_record_bytes);
        let fault = (taken.bytes > self.max_record_bytes).then(|| too_long(taken.bytes, self.max_record_bytes));
        Some(Found { offset: taken.offset, line: self.begun_line, text: taken.text, fault })
    }

    /// At the end of a chunk: whether there is something to do before the next one.
    fn turn_chunk(&mut self) -> bool {
        let is_record = matches!(self.state, State::Value(role) if role.is_record());
        self.window.carry_over(if is_record { self.max_record_bytes } else { KEPT_BYTES });
        if !self.is_ended {
            return false;
        }
        let truncated = match &self.state {
            State::Start(0) | State::Top => None,
            State::Start(seen) if *seen == BYTE_ORDER_MARK.len() => None,
            State::Value(role) if role.is_record() => {
                Some((Reason::Malformed, "the input ends inside a record".to_owned()))
            }
            _ => Some((Reason::BrokenDocument, "the input ends inside the document".to_owned())),
        };
        match self.fault.take().or(truncated) {
            Some((reason, detail)) => self.break_off(reason, detail),
            None => self.state = State::Done,
        }
        true
    }

    /// Nobody knows where the next record begins.
    fn lose(&mut self, detail: String) {
        self.break_off(Reason::BrokenDocument, detail);
    }

    /// All that follows, or that was begun, is one broken record.
    fn break_off(&mut self, reason: Reason, detail: String) {
        if !self.window.has_begun() {
            self.begin();
        }
        self.state = State::Broken(reason, detail);
    }

    /// Waits for as much text as is kept, so that it does not depend on how the bytes arrive.
    fn collect_broken(&mut self) -> Option<Found> {
        self.count_lines();
        self.window.advance(self.window.rest().len());
        if !self.is_ended && self.window.begun_bytes() < KEPT_BYTES {
            self.window.carry_over(KEPT_BYTES);
            return None;
        }
        let taken = self.window.take(KEPT_BYTES);
        let State::Broken(reason, detail) = std::mem::replace(&mut self.state, State::Done) else { return None };
        Some(Found { offset: taken.offset, line: self.begun_line, text: taken.text, fault: Some((reason, detail)) })
    }

    /// A record, or what may turn out broken, begins at the next byte.
    fn begin(&mut self) {
        self.count_lines();
        self.begun_line = self.line_feeds + 1;
        self.window.begin();
    }

    fn pass(&mut self, next: State) {
        self.window.advance(1);
        self.state = next;
    }

    fn count_lines(&mut self) {
        self.line_feeds += memchr_iter(b'\n', self.window.since(self.counted_to)).count() as u64;
        self.counted_to = self.window.offset();
    }
}

impl Role {
    fn is_record(self) -> bool {
        matches!(self, Self::Document | Self::Item)
    }
}

impl Wrapper {
    /// Adds to the key at hand, up to a length at which it cannot be the one that is looked for.
    fn add_to_member(&mut self, bytes: &[u8]) {
        let most = self.key.len() * ESCAPED_BYTE_LENGTH + 3;
        let room = most - self.member.len().min(most);
        self.member.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether the key at hand is the one of the array, in whatever way it is escaped.
    fn is_at_records(&self) -> bool {
        serde_json::from_slice::<String>(&self.member).is_ok_and(|member| member == self.key)
    }
}

/// A byte, for a sentence.
fn name(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("the byte 0x{byte:02X}") }
}
