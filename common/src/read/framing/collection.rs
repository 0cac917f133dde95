//! ② Collects the members beside the records of a document, for the fields that read them.
//!
//! Such a member may follow the records. So an object is framed twice if fields read such members:
//! first only to collect them, then to read the records.

/// Members of the containers of one object. Only members that fields read are kept, but their number
/// is not bounded by a chunk or a record.
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
    /// Indices of the declared members that were read.
    read: Vec<usize>,
    /// Whether the container was read to its end.
    is_complete: bool,
}

/// The collected members of a container.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) struct Collected<'a> {
    /// The members as they are written, separated by commas.
    pub(in crate::read) text: &'a [u8],
    pub(in crate::read) is_too_long: bool,
    /// Whether the container was read to its end. If not, only the members in `read` are known.
    pub(in crate::read) is_complete: bool,
    /// Indices of the declared members that were read.
    pub(in crate::read) read: &'a [usize],
}

/// The member that is being read.
#[derive(Debug)]
struct Current {
    level: usize,
    number: usize,
    /// Index of the member among the declared ones.
    declared: usize,
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

    fn container(&mut self, level: usize, number: usize) -> Option<&mut Members> {
        let containers = self.containers.get_mut(level)?;
        if containers.len() <= number {
            containers.resize_with(number + 1, Members::default);
        }
        containers.get_mut(number)
    }

    /// Notes that a container was read to its end.
    pub(super) fn complete(&mut self, level: usize, number: u64) {
        if let Some(members) = usize::try_from(number).ok().and_then(|number| self.container(level, number)) {
            members.is_complete = true;
        }
    }

    /// Starts a member of a container. `key` is its key as it is written, and `declared` its index among
    /// the declared members.
    pub(super) fn start(&mut self, level: usize, number: u64, key: &[u8], declared: usize) {
        self.drop_unfinished();
        let Ok(number) = usize::try_from(number) else { return };
        let Some(Members { text, .. }) = self.container(level, number) else { return };
        let before = text.len();
        if !text.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(key);
        text.push(b':');
        self.current = Some(Current { level, number, declared, before, bytes: 0 });
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
        let Some(Current { level, number, declared, .. }) = self.current.take() else { return };
        self.containers[level][number].read.push(declared);
    }

    /// Removes a member whose value did not end, because framing was lost or the input ended.
    pub(super) fn drop_unfinished(&mut self) {
        if let Some(Current { level, number, before, .. }) = self.current.take() {
            self.containers[level][number].text.truncate(before);
        }
    }

    /// Returns the members of a container.
    pub(in crate::read) fn members(&self, level: usize, number: u64) -> Collected<'_> {
        let number = usize::try_from(number).ok();
        match self.containers.get(level).zip(number).and_then(|(containers, number)| containers.get(number)) {
            None => Collected { text: &[], is_too_long: false, is_complete: false, read: &[] },
            Some(Members { text, is_too_long, read, is_complete }) => {
                Collected { text, is_too_long: *is_too_long, is_complete: *is_complete, read }
            }
        }
    }
}
