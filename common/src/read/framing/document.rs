//! ② Frames JSON documents as a stream: one JSON object, several JSON objects, an array of records,
//! or records inside of other objects and arrays.
//!
//! Each byte between records is checked. If there is a missing or extra comma, a bracket does not
//! match, or any other byte is in the wrong place, framing is lost. The records before it are kept.
//! The bytes up to the next certain start of a record (`framing::resync`) are one broken range. If
//! there is no such start, the range is the rest of the object, and the object is damaged.
//!
//! A value with matching brackets is a record, even if its content is wrong: the decoder rejects
//! it. If the records are inside of other objects and arrays, these are *containers*, and the
//! outermost one is a *page*. Members of containers that do not lead to records are skipped, but
//! must be JSON (`framing::member`). The bytes of a page before and after its records are kept until
//! it is certain that they belong to the page. If framing is lost before that, the broken range
//! includes them:
//!
//! ```text
//! {"page":1,"items":[{"id":1},{"id":2}],"next":{"count":3}}      and then { or the end
//! └── kept until ──┘ └record┘ └record┘ └── kept until the next page starts ──┘
//!     the array starts                     or other records of the page
//! ```

/// Enters and leaves the containers around the records.
mod containers;
/// Recovers framing where a document is broken.
mod recovery;

use bytes::Bytes;
use memchr::memchr_iter;

use crate::read::framing::collection::Collection;
use crate::read::framing::framed::{Found, too_long};
use crate::read::framing::member::MemberScan;
use crate::read::framing::observer::MemberAround;
use crate::read::framing::resync::RecordStarts;
use crate::read::framing::undeclared_members::DeclaredMembers;
use crate::read::framing::value::{Scanned, ValueScan, is_space};
use crate::read::framing::window::Window;
use crate::read::framing::wrapper::Wrapper;
use crate::read::quarantine::KEPT_TEXT_BYTES;
use crate::read::rejection::{Extent, Reason};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Maximum number of bytes that are kept of a broken range, as in the quarantine.
const KEPT_BYTES: u64 = KEPT_TEXT_BYTES as u64;
/// Length at which every unfinished record is searched for the certain start of another record
/// (`framing::resync`). If there is one, the unfinished record is broken and is given up. A shorter
/// record is not given up yet: if its closing bracket still follows, no other record is lost with
/// it.
const PATIENCE_BYTES: u64 = KEPT_BYTES;
const MISMATCH: &str = "the brackets do not match";
const NOT_JSON: &str = "a member of the object around the records is not JSON";
const LINE_FEED_IN_STRING: &str = "a string contains a line feed";

/// Frames the records of one document.
#[derive(Debug)]
pub struct DocumentFramer {
    window: Window,
    max_record_bytes: u64,
    /// [`PATIENCE_BYTES`]; fewer bytes in tests.
    pub(in crate::read) patience_bytes: u64,
    /// State of the containers around the records; `None` if there are none.
    wrapper: Option<Wrapper>,
    state: State,
    /// Scans a record, or the key of a member.
    value: ValueScan,
    /// Scans the value of a member that is skipped.
    member: MemberScan,
    /// Searches for the start of the next record in bytes that may be broken: in a long record, in
    /// a record with a line feed inside a string, and in all bytes after framing was lost.
    starts: RecordStarts,
    /// Whether `starts` searches the current record, and has searched all of its bytes so far.
    is_followed: bool,
    /// Number of line feeds before the offset `counted_to`.
    line_feeds: u64,
    counted_to: u64,
    /// Line number of the start of the current record or range.
    current_line: u64,
    is_ended: bool,
    /// Whether to keep the bytes from here on, because they are inside a page. The flawed bytes before
    /// them were just returned, and are in the window until the next call.
    is_inside_page: bool,
    /// Cause of an early end of the input.
    fault: Option<(Reason, String)>,
}

/// The token that is expected next, or the reason why no token is expected.
#[derive(Debug)]
enum State {
    /// A value outside of all brackets, or the end of the input.
    Top,
    /// Inside a byte order mark, with the number of its bytes that were read. If files were
    /// concatenated, there are marks in the middle of the input.
    Mark(usize),
    /// The rest of a value.
    Value(Role),
    /// The first item of an array of records or containers, or the end of the array.
    FirstItem,
    /// An item after a comma.
    Item,
    /// A comma after an item, or the end of the array.
    AfterItem,
    /// The first member of an object around the records, or the end of the object.
    FirstMember,
    /// A member after a comma.
    Member,
    Colon,
    MemberValue,
    /// A comma after a member, or the end of the object.
    AfterMember,
    /// The next certain start of a record, because framing was lost.
    Lost(Reason, String),
    /// No token: all bytes were read, and the current range, which ends with the input, is broken.
    Damaged(Reason, String),
    Done,
}

/// Role of a value in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A record outside of all brackets.
    Document,
    /// A record inside brackets.
    Item,
    /// The key of a member of an object around the records.
    Key,
    /// The value of a member that is skipped.
    Skipped,
}

impl DocumentFramer {
    /// Returns a framer. `records` is the path to the records, if they are inside of other values.
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
            current_line: 1,
            is_ended: false,
            is_inside_page: false,
            fault: None,
        }
    }

    pub(in crate::read) fn declare(&mut self, members: DeclaredMembers) {
        self.wrapper.iter_mut().for_each(|wrapper| wrapper.declare(members.clone()));
    }

    pub(in crate::read) fn collect(&mut self, most: u64) {
        self.wrapper.iter_mut().for_each(|wrapper| wrapper.collect(most));
    }

    pub(in crate::read) fn observe(&mut self) {
        self.wrapper.iter_mut().for_each(Wrapper::observe);
    }

    pub(in crate::read) fn take_members_around(&mut self) -> Vec<MemberAround> {
        self.wrapper.as_mut().map(Wrapper::take_members_around).unwrap_or_default()
    }

    pub(in crate::read) fn take_collection(&mut self) -> Collection {
        self.wrapper.as_mut().and_then(Wrapper::take_collection).unwrap_or_default()
    }

    pub(in crate::read) fn wrapper(&self) -> Option<&Wrapper> {
        self.wrapper.as_ref()
    }

    pub(in crate::read) fn push(&mut self, chunk: &Bytes) {
        // Count the line feeds of the old chunk before it is replaced.
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

    /// Returns the next complete record or broken range.
    pub(in crate::read) fn advance(&mut self) -> Option<Found> {
        if std::mem::take(&mut self.is_inside_page) {
            self.start();
        }
        loop {
            let found = match self.state {
                State::Done => return None,
                State::Damaged(..) => return self.take_rest(),
                // The chunk is used up: keep what a record needs of it, and wait for the next one.
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

    /// Skips white space. Returns the next byte without moving past it.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = self.window.rest();
        // A byte order mark contains no white space.
        let skipped = match self.state {
            State::Mark(_) => 0,
            _ => rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len()),
        };
        let byte = rest.get(skipped).copied();
        self.window.advance(skipped);
        byte
    }

    /// Moves past one byte outside of records, and checks that the grammar allows it there.
    fn step(&mut self, byte: u8) -> Option<Found> {
        match (&self.state, byte) {
            (State::Top, 0xEF) => {
                self.start();
                self.pass(State::Mark(1));
            }
            (State::Mark(seen), _) => self.step_in_mark(*seen, byte),
            (State::Top, b'{' | b'[') if self.starts_page(byte) => {
                // Start the range at the bracket, because the bytes of the page are kept until its
                // records start.
                self.start();
                self.wrapper.iter_mut().for_each(Wrapper::reset);
                self.open();
            }
            (State::Top, b'{') if self.wrapper.is_none() => self.start_value(byte, Role::Document),
            (State::Top, b'[') if self.wrapper.is_none() => self.pass(State::FirstItem),
            (State::Top, _) => {
                // The bytes `,` `:` `]` `}` only follow a value inside of brackets. Here, they
                // prove that a bracket of the previous page was wrong. The bytes after the array of
                // that page may have been records, so keep those bytes as a part of the broken
                // range.
                if !matches!(byte, b',' | b':' | b']' | b'}') {
                    self.window.release();
                }
                let detail = match &self.wrapper {
                    None => format!("found {} instead of a record", name(byte)),
                    Some(wrapper) => format!("found {} instead of {}", name(byte), wrapper.describe()),
                };
                self.lose(detail);
            }
            (State::FirstItem | State::AfterItem, b']') | (State::FirstMember | State::AfterMember, b'}') => {
                return self.close();
            }
            (State::FirstItem | State::Item, _) if self.wrapper.is_none() => self.start_value(byte, Role::Item),
            (State::FirstItem | State::Item | State::MemberValue, _) => self.start_inside(byte),
            (State::AfterItem, b',') => self.pass(State::Item),
            (State::AfterItem, _) => self.lose(format!("found {} instead of `,` or `]` after a record", name(byte))),
            (State::FirstMember | State::Member, b'"') => {
                self.wrapper.as_mut().into_iter().for_each(Wrapper::start_member);
                self.start_value(byte, Role::Key);
            }
            (State::AfterMember, b',') => self.pass(State::Member),
            (State::Colon, b':') => self.pass(State::MemberValue),
            (State::FirstMember | State::Member | State::AfterMember | State::Colon, _) => {
                self.lose(format!("found {} between the members of an object around the records", name(byte)));
            }
            (State::Value(_) | State::Lost(..) | State::Damaged(..) | State::Done, _) => {}
        }
        None
    }

    fn step_in_mark(&mut self, seen: usize, byte: u8) {
        if BYTE_ORDER_MARK.get(seen) != Some(&byte) {
            self.lose(format!("found {} inside a byte order mark", name(byte)));
        } else if seen + 1 == BYTE_ORDER_MARK.len() {
            self.window.release();
            self.pass(State::Top);
        } else {
            self.pass(State::Mark(seen + 1));
        }
    }

    fn start_value(&mut self, first: u8, role: Role) {
        let offset = self.window.offset();
        if !self.value.start(first, offset) {
            self.lose(format!("found {} instead of a value", name(first)));
            return;
        }
        // Start both scans. The role of the value decides which of them runs.
        self.member.start(offset);
        self.is_followed = false;
        if role.is_record() {
            self.start();
        }
        self.state = State::Value(role);
    }

    /// Scans the rest of a value in this chunk. If the value is a record and ends in this chunk,
    /// returns the record. If the record is given up, returns a broken range.
    fn scan_value(&mut self, role: Role) -> Option<Found> {
        let mut piece = self.window.rest();
        if role.is_record() && !self.is_followed {
            // Search for another record only once `patience_bytes` of the current one were read. Up
            // to this limit, all of the record is in the window and can be searched in one pass.
            let most = self.patience_bytes - self.window.current_bytes();
            piece = &piece[..piece.len().min(usize::try_from(most).unwrap_or(usize::MAX))];
        }
        let scanned = match role {
            Role::Skipped => self.member.scan(piece),
            Role::Document | Role::Item | Role::Key => self.value.scan(piece),
        };
        piece = match scanned {
            Scanned::More => piece,
            // Only the bytes before this index were scanned.
            Scanned::End(passed) | Scanned::Lost(passed) => &piece[..passed],
            Scanned::Torn { line_feed, .. } => &piece[..=line_feed],
        };
        if self.is_followed
            && let Some(index) = self.starts.find(piece)
        {
            // Another record certainly starts here, so give up the current one.
            return Some(self.give_up_at(self.window.offset() + index as u64));
        }
        match (role, &mut self.wrapper) {
            (Role::Key, Some(wrapper)) => wrapper.add_to_member(piece),
            (Role::Skipped, Some(wrapper)) => wrapper.add_to_value(piece),
            _ => {}
        }
        let passed = piece.len();
        self.window.advance(passed);
        let offset = self.window.offset();
        match scanned {
            Scanned::End(_) => self.end_value(role),
            Scanned::More if !role.is_record() || self.is_followed => None,
            Scanned::More if self.window.current_bytes() < self.patience_bytes => None,
            Scanned::More => self.follow(None).map(|offset| self.give_up_at(offset)),
            Scanned::Torn { quote, .. } if role.is_record() => self.doubt(quote),
            Scanned::Torn { quote, .. } => self.lose_inside(quote + 1, LINE_FEED_IN_STRING),
            Scanned::Lost(_) if role.is_record() => self.lose_inside(offset + 1, MISMATCH),
            Scanned::Lost(_) => self.lose_inside(offset + 1, NOT_JSON),
        }
    }

    fn end_value(&mut self, role: Role) -> Option<Found> {
        self.state = match role {
            Role::Document => State::Top,
            Role::Item | Role::Skipped => self.after_value(),
            Role::Key => State::Colon,
        };
        if role == Role::Skipped {
            let flaw = self.wrapper.as_mut().and_then(Wrapper::end_other)?;
            return Some(self.take_flawed(flaw));
        }
        if !role.is_record() {
            return None;
        }
        if self.value.is_torn() {
            // If a quote is missing, the text between strings looks like strings and may hide
            // records.
            let detail = format!("{LINE_FEED_IN_STRING}, so it may contain other records");
            return Some(self.take_broken(Extent::Gap, Reason::Malformed, detail));
        }
        // A record that is too long is still one record, so framing continues after it.
        let taken = self.window.take(self.max_record_bytes);
        let fault = (taken.bytes > self.max_record_bytes).then(|| too_long(taken.bytes, self.max_record_bytes));
        Some(Found { offset: taken.offset, bytes: taken.bytes, line: self.current_line, text: taken.text, fault })
    }

    /// Copies the current record or range out of the chunk, because the next chunk replaces it.
    fn carry_over(&mut self) {
        let is_record = matches!(self.state, State::Value(role) if role.is_record());
        // The text of a broken range is only needed for the quarantine.
        self.window.carry_over(if is_record { self.max_record_bytes } else { KEPT_BYTES });
    }

    /// Decides what the end of the input means in the current state.
    fn end(&mut self) -> Option<Found> {
        let lost = match &self.state {
            State::Top => {
                self.window.release();
                None
            }
            State::Value(role) if role.is_record() => {
                // Longer records were already searched from `patience_bytes` on.
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
        // Report a fault of the input rather than the unfinished document that it causes.
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

    /// Returns the rest of the input, from the start of the current record or range, as one broken
    /// range.
    fn take_rest(&mut self) -> Option<Found> {
        // If the input ends between records, the broken range is empty but still needs a position.
        // If bytes of a page were kept, the range starts with them.
        if !self.window.has_current() {
            self.start();
        }
        let State::Damaged(reason, detail) = std::mem::replace(&mut self.state, State::Done) else { return None };
        Some(self.take_broken(Extent::Rest, reason, detail))
    }

    fn take_broken(&mut self, extent: Extent, reason: Reason, detail: String) -> Found {
        let taken = self.window.take(KEPT_BYTES);
        let fault = Some((extent, reason, detail));
        Found { offset: taken.offset, bytes: taken.bytes, line: self.current_line, text: taken.text, fault }
    }

    /// Starts a record, or a range that may turn out broken, at the next byte.
    fn start(&mut self) {
        self.count_lines();
        self.current_line = self.line_feeds + 1;
        self.window.start();
    }

    fn pass(&mut self, next: State) {
        self.window.advance(1);
        self.state = next;
    }

    fn count_lines(&mut self) {
        self.line_feeds += memchr_iter(b'\n', self.window.since(self.counted_to)).count() as u64;
        // Line feeds up to here are counted, so the next count starts here.
        self.counted_to = self.window.offset();
    }
}

impl Role {
    fn is_record(self) -> bool {
        matches!(self, Self::Document | Self::Item)
    }
}

/// Returns the name of a byte for messages.
fn name(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("the byte 0x{byte:02X}") }
}
