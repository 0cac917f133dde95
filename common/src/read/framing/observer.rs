//! ② Observes all members beside the records of a document, to find out what there is.
//!
//! The members are taken after each chunk, so memory is bounded by a chunk and the start of one
//! value.

/// Maximum number of bytes of a value that are kept.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// A member of an object on the path to the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAround {
    /// Index of the object in the path, from the outermost.
    pub level: usize,
    /// Number of objects of this level that were opened before.
    pub number: u64,
    /// Key as it is written, with its quotes. Only the start of a very long key.
    pub key: Vec<u8>,
    /// The value as it is written; `None` if it has more than 1 MiB.
    pub value: Option<Vec<u8>>,
    /// Number of bytes of the value.
    pub bytes: u64,
}

/// The objects of one level of the path to the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectsAround {
    /// Index of the objects in the path, from the outermost.
    pub level: usize,
    /// Number of objects that were opened, and of those that were read to their end.
    pub opened: u64,
    pub closed: u64,
}

/// The members that ended, and the current one.
#[derive(Debug)]
pub(super) struct Observer {
    ended: Vec<MemberAround>,
    current: Option<MemberAround>,
    closed: Vec<u64>,
}

impl Observer {
    /// Returns an observer for a path of `levels` containers.
    pub(super) fn new(levels: usize) -> Self {
        Self { ended: Vec::new(), current: None, closed: vec![0; levels] }
    }

    /// Starts a member. One that did not end before is dropped.
    pub(super) fn start(&mut self, level: usize, number: u64, key: &[u8]) {
        let (key, value) = (key.to_vec(), Some(Vec::new()));
        self.current = Some(MemberAround { level, number, key, value, bytes: 0 });
    }

    /// Adds bytes of the member's value.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some(MemberAround { value, bytes: count, .. }) = &mut self.current else { return };
        *count += bytes.len() as u64;
        match value {
            Some(text) if text.len() + bytes.len() <= MAX_VALUE_BYTES => text.extend_from_slice(bytes),
            _ => *value = None,
        }
    }

    /// Ends the member.
    pub(super) fn end(&mut self) {
        self.ended.extend(self.current.take());
    }

    /// Counts a container that was read to its end.
    pub(super) fn close(&mut self, level: usize) {
        if let Some(closed) = self.closed.get_mut(level) {
            *closed += 1;
        }
    }

    pub(super) fn closed(&self, level: usize) -> u64 {
        self.closed.get(level).copied().unwrap_or_default()
    }

    /// Returns the members that ended since the last call.
    pub(super) fn take(&mut self) -> Vec<MemberAround> {
        std::mem::take(&mut self.ended)
    }
}
