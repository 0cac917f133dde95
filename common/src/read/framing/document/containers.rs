//! ② Enters and leaves the containers around the records of a page, and returns the parts of a page
//! that do not have what the path of the records needs.

use super::{DocumentFramer, Role, State};
use crate::config::records_path::Level;
use crate::read::framing::framed::Found;
use crate::read::framing::wrapper::{Inside, Wrapper};
use crate::read::rejection::{Extent, Reason};

impl DocumentFramer {
    /// Whether a page can start with `byte`, which is outside of all brackets.
    pub(super) fn starts_page(&self, byte: u8) -> bool {
        self.wrapper.as_ref().is_some_and(|wrapper| wrapper.outermost_bracket() == byte)
    }

    /// Opens the next container.
    pub(super) fn open(&mut self) {
        let Some(wrapper) = &mut self.wrapper else { return };
        wrapper.open();
        let is_array = wrapper.innermost() == Some(&Level::Items);
        if wrapper.holds_records() {
            // The bytes before the records belong to an intact page.
            self.window.release();
        }
        self.pass(if is_array { State::FirstItem } else { State::FirstMember });
    }

    /// Closes the innermost container. If it has a flaw, such as a missing key, returns the bytes
    /// since the last record, or since the start of the page, as one broken record.
    pub(super) fn close(&mut self) -> Option<Found> {
        let Some(wrapper) = &mut self.wrapper else {
            self.pass(State::Top);
            return None;
        };
        let held_records = wrapper.holds_records();
        let flaw = wrapper.close();
        self.pass(self.after_value());
        // Keep the bytes after the records until other records or the next page start.
        if held_records {
            self.start();
        }
        // `?` returns `None` if the container is intact.
        Some(self.take_flawed(flaw?))
    }

    /// Returns the kept bytes of a page as one broken record, and keeps the following ones.
    pub(super) fn take_flawed(&mut self, flaw: String) -> Found {
        self.is_inside_page = !matches!(self.state, State::Top);
        self.take_broken(Extent::Record, Reason::BrokenDocument, flaw)
    }

    /// Returns the state after a value inside the innermost container.
    pub(super) fn after_value(&self) -> State {
        match self.wrapper.as_ref().map(Wrapper::innermost) {
            None | Some(Some(Level::Items)) => State::AfterItem,
            Some(Some(Level::Key(_) | Level::Members)) => State::AfterMember,
            Some(None) => State::Top,
        }
    }

    /// Starts a value inside a container: a record, the next container, or another value.
    pub(super) fn start_inside(&mut self, byte: u8) {
        match self.wrapper.as_mut().map(|wrapper| wrapper.start_value(byte)) {
            Some(Inside::Container) => self.open(),
            Some(Inside::Record) => self.start_value(byte, Role::Item),
            Some(Inside::Other) | None => self.start_value(byte, Role::Skipped),
        }
    }
}
