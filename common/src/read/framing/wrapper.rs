//! ② State of the objects and arrays around the records (*containers*): which of them are open, and
//! whether each has the next one.

use crate::config::records_path::{self, Level};
use crate::read::framing::collection::Collection;
use crate::read::framing::observer::{MemberAround, ObjectsAround, Observer};
use crate::read::framing::undeclared_members::{DeclaredMembers, UndeclaredMembers};

/// Maximum number of bytes of a key that are kept. A longer key is treated as not on the path.
const MAX_MEMBER_BYTES: usize = 64 * 1024;

/// The containers around the records.
#[derive(Debug)]
pub(in crate::read) struct Wrapper {
    /// The containers from the outermost to the one of the records.
    path: Vec<Level>,
    /// State of the containers that are open: the first ones of `path`.
    open: Vec<Container>,
    /// Key of the current member as it is written, with its quotes and escapes. If it is longer than
    /// [`MAX_MEMBER_BYTES`], only its start is kept.
    member: Vec<u8>,
    /// Number of containers of each level that were opened so far.
    opened: Vec<u64>,
    /// Members beside the path to keep; `None` unless they are collected.
    collection: Option<Collection>,
    /// Observes all members beside the path; `None` unless somebody asked for it.
    observer: Option<Observer>,
    /// Members beside the path, each with the number of containers that have it.
    undeclared: UndeclaredMembers,
}

#[derive(Debug, Default)]
struct Container {
    /// Number of containers of the same level that were opened before.
    number: u64,
    /// Whether the key of the path was found, if the container is an object with such a key.
    has_key: bool,
    /// Key of the member that contains the next container or the record, as it is written.
    member: Vec<u8>,
    /// Fault of the container, such as a repeated key; `None` if no fault was found yet.
    flaw: Option<String>,
}

/// An open container around a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) struct Around<'a> {
    /// Number of containers of the same level that were opened before, in the object.
    pub(in crate::read) number: u64,
    /// Key of the member that contains the record, as it is written.
    pub(in crate::read) member: &'a [u8],
}

/// Role of a value inside a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum Inside {
    Record,
    /// The next container of the path.
    Container,
    /// A value that is not on the path.
    Other,
}

impl Wrapper {
    /// Returns the state outside of all containers of a path.
    pub(in crate::read) fn new(path: &str) -> Self {
        // The path was checked with the configuration.
        let path = records_path::parse(path).unwrap_or_else(|_| vec![Level::Key(path.to_owned()), Level::Items]);
        Self {
            opened: vec![0; path.len()],
            undeclared: UndeclaredMembers::new(&path, Vec::new()),
            path,
            open: Vec::new(),
            member: Vec::new(),
            collection: None,
            observer: None,
        }
    }

    /// Sets the members beside the path that fields read.
    pub(in crate::read) fn declare(&mut self, members: DeclaredMembers) {
        self.undeclared = UndeclaredMembers::new(&self.path, members);
    }

    /// Collects the declared members beside the path from now on. A member of more than `most` bytes
    /// is not kept.
    pub(in crate::read) fn collect(&mut self, most: u64) {
        self.collection = Some(Collection::new(self.path.len(), most));
    }

    /// Observes all members beside the path from now on.
    pub(in crate::read) fn observe(&mut self) {
        self.observer = Some(Observer::new(self.path.len()));
    }

    /// Returns the members that ended since the last call.
    pub(in crate::read) fn take_members_around(&mut self) -> Vec<MemberAround> {
        self.observer.as_mut().map(Observer::take).unwrap_or_default()
    }

    /// Returns the numbers of the objects on the path, by level.
    pub(in crate::read) fn objects_around(&self) -> Vec<ObjectsAround> {
        let levels = self.path.iter().zip(&self.opened).enumerate();
        let objects = levels.filter(|(_, (level, _))| matches!(level, Level::Key(_)));
        let closed = |level| self.observer.as_ref().map_or(0, |observer| observer.closed(level));
        objects.map(|(level, (_, opened))| ObjectsAround { level, opened: *opened, closed: closed(level) }).collect()
    }

    /// Returns the collected members.
    pub(in crate::read) fn take_collection(&mut self) -> Option<Collection> {
        let mut collection = self.collection.take()?;
        collection.drop_unfinished();
        Some(collection)
    }

    /// Returns the counts of the members beside the path that no field reads.
    pub(in crate::read) fn undeclared(&self) -> &UndeclaredMembers {
        &self.undeclared
    }

    /// Returns the open containers, from the outermost.
    pub(in crate::read) fn around(&self) -> impl Iterator<Item = Around<'_>> {
        self.open.iter().map(|container| Around { number: container.number, member: &container.member })
    }

    /// Closes all containers, because a new document starts.
    pub(in crate::read) fn reset(&mut self) {
        self.open.clear();
    }

    /// Returns the innermost open container.
    pub(in crate::read) fn innermost(&self) -> Option<&Level> {
        self.path.get(self.open.len().checked_sub(1)?)
    }

    /// Whether the innermost open container is the one of the records.
    pub(in crate::read) fn holds_records(&self) -> bool {
        self.open.len() == self.path.len()
    }

    /// Returns the opening bracket of the outermost container.
    pub(in crate::read) fn outermost_bracket(&self) -> u8 {
        bracket(self.path.first())
    }

    /// Returns a description of the outermost container, for messages.
    pub(in crate::read) fn describe(&self) -> String {
        match self.path.first() {
            Some(Level::Key(key)) => format!("an object with the key `{key}`"),
            Some(Level::Items) => "an array".to_owned(),
            Some(Level::Members) | None => "an object".to_owned(),
        }
    }

    /// Opens the next container.
    pub(in crate::read) fn open(&mut self) {
        let Some(opened) = self.opened.get_mut(self.open.len()) else { return };
        self.open.push(Container { number: *opened, ..Container::default() });
        *opened += 1;
    }

    pub(in crate::read) fn start_member(&mut self) {
        self.member.clear();
    }

    /// Adds bytes to the current key, up to the maximum length.
    pub(in crate::read) fn add_to_member(&mut self, bytes: &[u8]) {
        let room = MAX_MEMBER_BYTES - self.member.len().min(MAX_MEMBER_BYTES);
        self.member.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Adds bytes of the current value beside the path, if it is collected or observed.
    pub(in crate::read) fn add_to_value(&mut self, bytes: &[u8]) {
        if let Some(collection) = &mut self.collection {
            collection.add(bytes);
        }
        if let Some(observer) = &mut self.observer {
            observer.add(bytes);
        }
    }

    /// Starts a value inside the innermost container, whose first byte is `first`. Records a flaw of
    /// that container if the key of the path occurs twice, or if the value should be the next
    /// container and is none.
    pub(in crate::read) fn start_value(&mut self, first: u8) -> Inside {
        let bracket = bracket(self.path.get(self.open.len()));
        let (holds_records, depth) = (self.holds_records(), self.open.len());
        let (Some(level), Some(container)) = (self.path.get(depth.wrapping_sub(1)), self.open.last_mut()) else {
            return Inside::Other;
        };
        if let Level::Members = level {
            container.member.clone_from(&self.member);
        }
        if let Level::Key(key) = level {
            // Parse the member's key, because it may contain escapes.
            let member = serde_json::from_slice::<String>(&self.member).ok();
            if member.as_ref() != Some(key) {
                let declared = self.undeclared.count(depth - 1, member.as_deref());
                if let Some(observer) = &mut self.observer {
                    observer.start(depth - 1, container.number, &self.member);
                }
                if let Some((collection, declared)) = self.collection.as_mut().zip(declared) {
                    collection.start(depth - 1, container.number, &self.member, declared);
                }
                return Inside::Other;
            }
            if container.has_key {
                container.flaw = Some(format!("the object has the key `{key}` twice"));
                return Inside::Other;
            }
            container.has_key = true;
        } else if holds_records {
            return Inside::Record;
        }
        if first == bracket {
            return Inside::Container;
        }
        let expected = if bracket == b'[' { "an array" } else { "an object" };
        container.flaw = Some(match level {
            Level::Key(key) => format!("the value of the key `{key}` is not {expected}"),
            Level::Items => format!("an item of an array around the records is not {expected}"),
            Level::Members => format!("a value of an object around the records is not {expected}"),
        });
        Inside::Other
    }

    /// Ends a value that is not on the path. Returns the flaw of an array or object whose items or
    /// members are all on the path. The flaw of any other object is returned when the object ends.
    pub(in crate::read) fn end_other(&mut self) -> Option<String> {
        if let Some(collection) = &mut self.collection {
            collection.end();
        }
        if let Some(observer) = &mut self.observer {
            observer.end();
        }
        let is_on_path = matches!(self.innermost(), Some(Level::Items | Level::Members));
        self.open.last_mut().filter(|_| is_on_path)?.flaw.take()
    }

    /// Closes the innermost container. Returns its flaw, if it has one.
    pub(in crate::read) fn close(&mut self) -> Option<String> {
        let key = match self.innermost() {
            Some(Level::Key(key)) => Some(key.clone()),
            _ => None,
        };
        let Container { number, has_key, flaw, .. } = self.open.pop()?;
        if let Some(observer) = &mut self.observer {
            observer.close(self.open.len());
        }
        if let Some(collection) =
            self.collection.as_mut().filter(|_| key.is_some() && self.undeclared.declares(self.open.len()))
        {
            collection.complete(self.open.len(), number);
        }
        let missing = || key.filter(|_| !has_key).map(|key| format!("the object has no key `{key}`"));
        flaw.or_else(missing)
    }
}

fn bracket(level: Option<&Level>) -> u8 {
    match level {
        Some(Level::Items) => b'[',
        Some(Level::Key(_) | Level::Members) | None => b'{',
    }
}
