//! ② Collects the members beside the records of a document, for the fields that read them.
//!
//! Such a member may follow the records. So an object is framed twice if fields read such members:
//! first only to collect them, then to read the records.

/// Members of the containers of one object. Their memory is not bounded by a chunk or a record, but
/// contains only members that fields read.
#[derive(Debug, Default)]
pub(in crate::read) struct Collection {
    /// The members of each container, by level and number.
    containers: Vec<Vec<Members>>,
    /// Maximum number of bytes of a value.
    most: usize,
    current: Option<Current>,
}

/// Members of one container.
#[derive(Debug, Default)]
struct Members {
    /// The members as they are written, separated by commas.
    text: Vec<u8>,
    /// Whether a value was too long to be kept.
    is_too_long: bool,
}

/// The member that is being read.
#[derive(Debug)]
struct Current {
    level: usize,
    number: usize,
    /// Length of the text before the member.
    before: usize,
    /// Number of bytes of the value so far.
    bytes: usize,
}

impl Collection {
    /// Returns an empty collection for a path of `levels` containers.
    pub(super) fn new(levels: usize, most: u64) -> Self {
        let containers = std::iter::repeat_with(Vec::new).take(levels).collect();
        Self { containers, most: usize::try_from(most).unwrap_or(usize::MAX), current: None }
    }

    /// Starts a member of a container. `key` is its key as it is written.
    pub(super) fn start(&mut self, level: usize, number: u64, key: &[u8]) {
        self.drop_unfinished();
        let Ok(number) = usize::try_from(number) else { return };
        let Some(containers) = self.containers.get_mut(level) else { return };
        if containers.len() <= number {
            containers.resize_with(number + 1, Members::default);
        }
        let text = &mut containers[number].text;
        self.current = Some(Current { level, number, before: text.len(), bytes: 0 });
        if !text.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(key);
        text.push(b':');
    }

    /// Adds bytes of the member's value.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else { return };
        let members = &mut self.containers[current.level][current.number];
        current.bytes += bytes.len();
        if current.bytes <= self.most {
            members.text.extend_from_slice(bytes);
        } else {
            members.is_too_long = true;
            self.drop_unfinished();
        }
    }

    /// Ends the current member.
    pub(super) fn end(&mut self) {
        self.current = None;
    }

    /// Removes a member whose value did not end, because framing was lost or the input ended.
    pub(super) fn drop_unfinished(&mut self) {
        if let Some(Current { level, number, before, .. }) = self.current.take() {
            self.containers[level][number].text.truncate(before);
        }
    }

    /// Returns the members of a container, separated by commas; empty if it has none that is
    /// declared. Returns `None` if one of its values was too long.
    pub(in crate::read) fn members(&self, level: usize, number: u64) -> Option<&[u8]> {
        let number = usize::try_from(number).ok();
        match self.containers.get(level).zip(number).and_then(|(containers, number)| containers.get(number)) {
            None => Some(&[]),
            Some(members) => (!members.is_too_long).then_some(members.text.as_slice()),
        }
    }
}
