//! ② Whole-document JSON, streamed: one object, several, an array of records, or an array under a key.
//!
//! What stands between records is checked to the byte. Where a comma is missing or too many, a bracket does not match or
//! anything else stands, framing is lost: the records before it stay, and what follows up to the next certain start of a
//! record (`read::resync`) is one broken range. If there is none, the range is the rest of the object, which is damaged
//! then. A record whose brackets match is a record, whatever is wrong inside it: that is for the decoder. The other
//! members of an object around the array are skipped without being kept.

use bytes::Bytes;
use memchr::memchr_iter;

use crate::read::framing::member::MemberScan;
use crate::read::framing::resync::RecordStarts;
use crate::read::framing::value::{Scanned, ValueScan};
use crate::read::framing::window::Window;
use crate::read::framing::wrapper::Wrapper;
use crate::read::framing::{Extent, Found, too_long};
use crate::read::quarantine::KEPT_TEXT_BYTES;
use crate::read::rejection::Reason;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// What is kept of text that is no record: as much as the quarantine keeps.
const KEPT_BYTES: u64 = KEPT_TEXT_BYTES as u64;
/// A record that has not ended after this many bytes is given up where a record certainly starts inside it. No JSON has
/// such a place, so only the extent of a broken record is in question: a shorter one may still end in its own bracket.
const PATIENCE_BYTES: u64 = KEPT_BYTES;
const MISMATCH: &str = "the brackets do not match";
const NOT_JSON: &str = "a member of the object around the records is not JSON";
const LINE_FEED_IN_STRING: &str = "a string contains a line feed";

/// Frames the records of one document.
#[derive(Debug)]
pub struct DocumentFramer {
    window: Window,
    max_record_bytes: u64,
    /// [`PATIENCE_BYTES`], or less in a test.
    pub(in crate::read) patience_bytes: u64,
    /// The array of records lies in an object around it.
    wrapper: Option<Wrapper>,
    state: State,
    value: ValueScan,
    /// The value of a member that is skipped.
    member: MemberScan,
    /// Looks for the next record in bytes that may turn out broken: in a long record, in one with a
    /// line feed inside a string, and in all bytes after framing was lost.
    starts: RecordStarts,
    /// `starts` has seen all of the current record so far.
    is_followed: bool,
    /// Line feeds before the offset `counted_to`.
    line_feeds: u64,
    counted_to: u64,
    /// The line of what was begun last.
    begun_line: u64,
    is_ended: bool,
    /// Why the bytes end here, if not because there are no more.
    fault: Option<(Reason, String)>,
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// A top-level value, or the end.
    Top,
    /// So many bytes of a byte order mark were seen, which also stands between files that were put together.
    Mark(usize),
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
    /// Framing was lost; the next certain start of a record is looked for.
    Lost(Reason, String),
    /// The rest of the object, of which nothing is left to read, is broken.
    Damaged(Reason, String),
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
    pub(in crate::read) fn new(records: Option<&str>, max_record_bytes: u64) -> Self {
        Self {
            window: Window::new(0),
            max_record_bytes,
            patience_bytes: PATIENCE_BYTES,
            wrapper: records.map(Wrapper::new),
            state: State::Top,
            value: ValueScan::default(),
            member: MemberScan::default(),
            is_followed: false,
            starts: RecordStarts::default(),
            line_feeds: 0,
            counted_to: 0,
            begun_line: 1,
            is_ended: false,
            fault: None,
        }
    }

    pub(in crate::read) fn push(&mut self, chunk: &Bytes) {
        self.count_lines();
        self.window.push(chunk);
    }

    pub(in crate::read) fn finish(&mut self, fault: Option<(Reason, String)>) {
        self.is_ended = true;
        self.fault = fault;
    }

    pub(in crate::read) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(in crate::read) fn lines(&self) -> u64 {
        self.line_feeds + memchr_iter(b'\n', self.window.since(self.counted_to)).count() as u64
    }

    pub(in crate::read) fn window(&self) -> &Window {
        &self.window
    }

    /// The next record that is complete.
    pub(in crate::read) fn advance(&mut self) -> Option<Found> {
        loop {
            let found = match self.state {
                State::Done => return None,
                State::Damaged(..) => return self.take_rest(),
                _ if self.window.rest().is_empty() && !self.is_ended => {
                    self.carry_over();
                    return None;
                }
                _ if self.window.rest().is_empty() => self.end(),
                State::Lost(..) => self.look_for_start(),
                State::Value(role) => self.scan_value(role),
                _ => self.next_byte().and_then(|byte| self.step(byte)),
            };
            if found.is_some() {
                return found;
            }
        }
    }

    /// The next byte that is not white space, not yet passed.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = self.window.rest();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        // Inside a byte order mark white space means nothing.
        let skipped = match self.state {
            State::Mark(_) => 0,
            _ => rest.iter().position(|byte| !is_space(byte)).unwrap_or(rest.len()),
        };
        let byte = rest.get(skipped).copied();
        self.window.advance(skipped);
        byte
    }

    /// Passes one byte between values.
    fn step(&mut self, byte: u8) -> Option<Found> {
        match (&self.state, byte) {
            (State::Top, 0xEF) => {
                self.begin();
                self.pass(State::Mark(1));
            }
            (State::Mark(seen), _) => self.step_in_mark(*seen, byte),
            (State::Top, b'{') if self.wrapper.is_some() => {
                self.begin();
                self.pass(State::FirstMember);
                self.wrapper.as_mut().into_iter().for_each(Wrapper::begin);
            }
            (State::Top, b'{') => self.begin_value(byte, Role::Document),
            (State::Top, b'[') if self.wrapper.is_none() => self.pass(State::FirstItem),
            (State::Top, _) => {
                // These bytes only follow a value inside of brackets. After a page they show that its
                // array of records ended too early, so that what followed it was no part of the page.
                if !matches!(byte, b',' | b':' | b']' | b'}') {
                    self.window.release();
                }
                let detail = match &self.wrapper {
                    None => format!("{} stands where a record should begin", name(byte)),
                    Some(wrapper) => {
                        let key = wrapper.key();
                        format!("{} stands where an object with the key `{key}` should begin", name(byte))
                    }
                };
                self.lose(detail);
            }
            (State::FirstItem | State::AfterItem, b']') => {
                self.pass(if self.wrapper.is_some() { State::AfterMember } else { State::Top });
                // What follows the records in the object around them is not known to be part of it
                // before the next such object starts.
                if self.wrapper.is_some() {
                    self.begin();
                }
            }
            (State::FirstItem | State::Item, _) => self.begin_value(byte, Role::Item),
            (State::AfterItem, b',') => self.pass(State::Item),
            (State::AfterItem, _) => {
                self.lose(format!("{} stands where `,` or `]` should follow a record", name(byte)))
            }
            (State::FirstMember | State::AfterMember, b'}') => return self.end_wrapper(),
            (State::FirstMember | State::Member, b'"') => {
                self.wrapper.as_mut().into_iter().for_each(Wrapper::begin_member);
                self.begin_value(byte, Role::Key);
            }
            (State::AfterMember, b',') => self.pass(State::Member),
            (State::Colon, b':') => self.pass(State::MemberValue),
            (State::MemberValue, _) => self.begin_member_value(byte),
            (State::FirstMember | State::Member | State::AfterMember | State::Colon, _) => {
                self.lose(format!("{} stands between the members of the object around the records", name(byte)));
            }
            (State::Value(_) | State::Lost(..) | State::Damaged(..) | State::Done, _) => {}
        }
        None
    }

    fn step_in_mark(&mut self, seen: usize, byte: u8) {
        if BYTE_ORDER_MARK.get(seen) != Some(&byte) {
            self.lose(format!("{} stands inside a byte order mark", name(byte)));
        } else if seen + 1 == BYTE_ORDER_MARK.len() {
            self.window.release();
            self.pass(State::Top);
        } else {
            self.pass(State::Mark(seen + 1));
        }
    }

    /// An object without the array is one broken record.
    fn end_wrapper(&mut self) -> Option<Found> {
        self.pass(State::Top);
        let flaw = self.wrapper.as_mut().and_then(Wrapper::end)?;
        Some(self.take_broken(Extent::Record, Reason::BrokenDocument, flaw))
    }

    fn begin_member_value(&mut self, byte: u8) {
        if self.wrapper.as_mut().is_some_and(|wrapper| wrapper.begin_value(byte)) {
            self.window.release();
            self.pass(State::FirstItem);
            return;
        }
        self.begin_value(byte, Role::Skipped);
    }

    fn begin_value(&mut self, first: u8, role: Role) {
        let offset = self.window.offset();
        if !self.value.start(first, offset) {
            self.lose(format!("{} stands where a value should", name(first)));
            return;
        }
        self.member.start(offset);
        self.is_followed = false;
        if role.is_record() {
            self.begin();
        }
        self.state = State::Value(role);
    }

    /// Scans the rest of a value. Returns it if it is a record and ends in this chunk.
    fn scan_value(&mut self, role: Role) -> Option<Found> {
        let mut piece = self.window.rest();
        if role.is_record() && !self.is_followed {
            // The first `patience_bytes` of a record are followed at once when they were read.
            let most = self.patience_bytes - self.window.begun_bytes();
            piece = &piece[..piece.len().min(usize::try_from(most).unwrap_or(usize::MAX))];
        }
        let scanned = match role {
            Role::Skipped => self.member.scan(piece),
            Role::Document | Role::Item | Role::Key => self.value.scan(piece),
        };
        piece = match scanned {
            Scanned::More => piece,
            Scanned::End(passed) | Scanned::Lost(passed) => &piece[..passed],
            Scanned::Torn { line_feed, .. } => &piece[..=line_feed],
        };
        if self.is_followed
            && let Some(index) = self.starts.find(piece)
        {
            return Some(self.give_up_at(self.window.offset() + index as u64));
        }
        if let (Role::Key, Some(wrapper)) = (role, &mut self.wrapper) {
            wrapper.add_to_member(piece);
        }
        let passed = piece.len();
        self.window.advance(passed);
        let offset = self.window.offset();
        match scanned {
            Scanned::End(_) => self.end_value(role),
            Scanned::More if !role.is_record() || self.is_followed => None,
            Scanned::More if self.window.begun_bytes() < self.patience_bytes => None,
            Scanned::More => self.follow(None).map(|offset| self.give_up_at(offset)),
            Scanned::Torn { quote, .. } if role.is_record() => self.doubt(quote),
            Scanned::Torn { quote, .. } => self.lose_inside(quote + 1, LINE_FEED_IN_STRING),
            Scanned::Lost(_) if role.is_record() => self.lose_inside(offset + 1, MISMATCH),
            Scanned::Lost(_) => self.lose_inside(offset + 1, NOT_JSON),
        }
    }

    /// Looks for the next record from now on, because a string of the current one contains a line
    /// feed. The record is not JSON, but may still end in its own bracket, as records do whose
    /// program does not escape line feeds.
    ///
    /// A start after the line feed is certain unless the byte before it is the string's opening
    /// `quote`, which may be the byte that is wrong. Every other byte before it is not in a string in
    /// the intact text, because no string contains a line feed.
    fn doubt(&mut self, quote: u64) -> Option<Found> {
        if self.is_followed {
            self.starts.lost_before(quote + 1);
            return None;
        }
        self.follow(Some(quote + 1)).map(|offset| self.give_up_at(offset))
    }

    fn end_value(&mut self, role: Role) -> Option<Found> {
        self.state = match role {
            Role::Document => State::Top,
            Role::Item => State::AfterItem,
            Role::Key => State::Colon,
            Role::Skipped => State::AfterMember,
        };
        if !role.is_record() {
            return None;
        }
        if self.value.is_torn() {
            // Where quotes are exchanged, text between strings looks like strings, and may hide records.
            let detail = format!("{LINE_FEED_IN_STRING}, so it may contain other records");
            return Some(self.take_broken(Extent::Gap, Reason::Malformed, detail));
        }
        let taken = self.window.take(self.max_record_bytes);
        let fault = (taken.bytes > self.max_record_bytes).then(|| too_long(taken.bytes, self.max_record_bytes));
        Some(Found { offset: taken.offset, bytes: taken.bytes, line: self.begun_line, text: taken.text, fault })
    }

    /// Follows the begun record, of which no more than is kept was read, from its beginning. Answers with the offset of
    /// the first certain start inside of it.
    fn follow(&mut self, certain_from: Option<u64>) -> Option<u64> {
        let begun = self.window.begun_offset()?;
        let (carried, rest) = self.window.begun_text();
        self.is_followed = true;
        self.starts = RecordStarts::from(begun, certain_from);
        let index = self.starts.find(carried).or_else(|| Some(carried.len() + self.starts.find(rest)?))?;
        Some(begun + index as u64)
    }

    /// The begun record is broken, for another one certainly starts inside of it.
    fn give_up_at(&mut self, offset: u64) -> Found {
        self.resume_at(offset, Reason::BrokenDocument, "the record does not end before the next one starts".to_owned())
    }

    /// Framing is lost inside of the current value. A start is certain if the byte before it is at
    /// `certain_from` or later.
    fn lose_inside(&mut self, certain_from: u64, detail: &str) -> Option<Found> {
        if self.is_followed {
            self.starts.lost_before(certain_from);
        } else if self.window.begun_bytes() <= self.patience_bytes {
            if let Some(offset) = self.follow(Some(certain_from)) {
                return Some(self.resume_at(offset, Reason::BrokenDocument, detail.to_owned()));
            }
        } else {
            // Not all of a long member was kept.
            let offset = self.window.offset();
            self.starts = RecordStarts::from(offset, Some(offset));
        }
        self.state = State::Lost(Reason::BrokenDocument, detail.to_owned());
        None
    }

    /// The next byte cannot stand here. Where a value at the top could begin, all before it is intact.
    fn lose(&mut self, detail: String) {
        let offset = self.window.offset();
        let is_between_values = matches!(self.state, State::Top | State::Mark(_));
        let certain_from = if is_between_values { offset } else { offset + 1 };
        self.starts = RecordStarts::from(offset, Some(certain_from));
        if !self.window.has_begun() {
            self.begin();
        }
        self.state = State::Lost(Reason::BrokenDocument, detail);
    }

    /// Looks for the next record in what is left of the chunk.
    fn look_for_start(&mut self) -> Option<Found> {
        let rest = self.window.rest();
        let found = self.starts.find(rest);
        let passed = found.unwrap_or(rest.len());
        self.window.advance(passed);
        found?;
        let State::Lost(reason, detail) = std::mem::replace(&mut self.state, State::Top) else { return None };
        Some(self.resume_at(self.window.offset(), reason, detail))
    }

    /// Framing is certain again at `offset`, which is in the begun record or behind it.
    fn resume_at(&mut self, offset: u64, reason: Reason, detail: String) -> Found {
        self.window.rewind(offset);
        let broken = self.take_broken(Extent::Gap, reason, detail);
        if broken.bytes <= KEPT_BYTES {
            // The text is complete. The line feeds behind it may have been counted with their chunk.
            let text = self.window.text(&broken.text);
            self.line_feeds = self.begun_line - 1 + memchr_iter(b'\n', text).count() as u64;
            self.counted_to = offset;
        }
        self.state = State::Top;
        broken
    }

    /// Keeps what is begun, for the chunk goes.
    fn carry_over(&mut self) {
        let is_record = matches!(self.state, State::Value(role) if role.is_record());
        self.window.carry_over(if is_record { self.max_record_bytes } else { KEPT_BYTES });
    }

    /// There are no more bytes.
    fn end(&mut self) -> Option<Found> {
        let lost = match &self.state {
            State::Top => {
                self.window.release();
                None
            }
            State::Value(role) if role.is_record() => {
                // What is longer was followed up to here.
                let start = if self.is_followed { None } else { self.follow(None) };
                if let Some(offset) = start {
                    return Some(self.give_up_at(offset));
                }
                Some((Reason::Malformed, "the input ends inside a record".to_owned()))
            }
            State::Lost(reason, detail) => Some((*reason, detail.clone())),
            _ => Some((Reason::BrokenDocument, "the input ends inside the document".to_owned())),
        };
        let is_lost_before = matches!(self.state, State::Lost(..));
        self.state = match (self.fault.take(), lost) {
            (None, None) => State::Done,
            (None, Some((reason, detail))) => State::Damaged(reason, detail),
            (Some((reason, detail)), Some((_, lost))) if is_lost_before => {
                State::Damaged(reason, format!("{lost}, and later {detail}"))
            }
            (Some((reason, detail)), _) => State::Damaged(reason, detail),
        };
        None
    }

    /// What is begun, up to the end of the object.
    fn take_rest(&mut self) -> Option<Found> {
        if !self.window.has_begun() {
            self.begin();
        }
        let State::Damaged(reason, detail) = std::mem::replace(&mut self.state, State::Done) else { return None };
        Some(self.take_broken(Extent::Rest, reason, detail))
    }

    fn take_broken(&mut self, extent: Extent, reason: Reason, detail: String) -> Found {
        let taken = self.window.take(KEPT_BYTES);
        let fault = Some((extent, reason, detail));
        Found { offset: taken.offset, bytes: taken.bytes, line: self.begun_line, text: taken.text, fault }
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

/// A byte, for a sentence.
fn name(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("the byte 0x{byte:02X}") }
}
