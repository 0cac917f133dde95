//! Collects the lines of a user until a statement is complete.

use super::backslash::Backslash;
use crate::command::query::statements::{Rest, split};

/// Lines that are not part of a complete statement yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    pending: String,
    /// Whether the last line ends inside a quoted text or a comment.
    is_quoted: bool,
}

/// Something to respond to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A statement without its `;`.
    Statement(String),
    Backslash(Backslash),
}

impl Entry {
    /// Returns what the user would type to get this entry.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Statement(sql) => format!("{sql};"),
            Self::Backslash(command) => command.text(),
        }
    }
}

impl Input {
    /// Whether a statement has started and not ended.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Drops an unfinished statement.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a line, or several lines that were pasted. Returns what is complete now.
    pub(super) fn add(&mut self, lines: &str) -> Vec<Entry> {
        lines.split('\n').flat_map(|line| self.add_line(line)).collect()
    }

    fn add_line(&mut self, line: &str) -> Vec<Entry> {
        let command = if self.is_quoted { None } else { Backslash::parse(line, !self.is_pending()) };
        if let Some(command) = command {
            return vec![Entry::Backslash(command)];
        }
        let text = format!("{}{line}\n", self.pending);
        self.clear();
        let (statements, rest) = split(&text);
        let mut entries: Vec<Entry> =
            statements.iter().map(|statement| Entry::Statement(statement.sql.to_owned())).collect();
        match rest {
            Rest::Blank => {}
            // No further line makes it valid, so DataFusion reports it now.
            Rest::Invalid(last) => entries.push(Entry::Statement(last.sql.trim_end().to_owned())),
            Rest::Open(last) => self.pending = last.sql.to_owned(),
            Rest::Quoted(last) => {
                self.pending = last.sql.to_owned();
                self.is_quoted = true;
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(entries: &[&str]) -> Vec<Entry> {
        entries.iter().map(|sql| Entry::Statement((*sql).to_owned())).collect()
    }

    #[test]
    fn a_backslash_starts_a_command_unless_it_is_quoted() {
        let mut input = Input::default();
        assert_eq!(input.add(" \\d songs;"), [Entry::Backslash(Backslash::Columns("songs".to_owned()))]);
        // A command does not disturb an unfinished statement.
        assert_eq!(input.add("SELECT"), []);
        assert_eq!(input.add("\\d"), [Entry::Backslash(Backslash::Tables)]);
        assert_eq!(input.add("quit"), []);
        assert_eq!(input.add(", '"), []);
        assert_eq!(input.add("\\q  "), []);
        assert_eq!(input.add("';"), statements(&["SELECT\nquit\n, '\n\\q  \n'"]));
        let pasted = input.add("\\timing\nSELECT 1;\nquit;");
        let timing = Entry::Backslash(Backslash::Timing);
        assert_eq!(pasted, [timing, Entry::Statement("SELECT 1".to_owned()), Entry::Backslash(Backslash::Quit)]);
    }

    #[test]
    fn a_statement_that_no_further_line_makes_valid_is_complete() {
        let mut input = Input::default();
        assert_eq!(input.add("SELECT (._a)"), statements(&["SELECT (._a)"]));
        assert!(!input.is_pending());
        assert_eq!(input.add("SELECT 'a"), []);
        input.clear();
        assert_eq!(input.add("\\q"), [Entry::Backslash(Backslash::Quit)]);
    }

    #[test]
    fn a_statement_may_have_several_lines_and_a_line_several_statements() {
        let mut input = Input::default();
        assert_eq!(input.add("SELECT 1; SELECT"), statements(&["SELECT 1"]));
        assert!(input.is_pending());
        assert_eq!(input.add(""), []);
        assert_eq!(input.add("2 -- ;"), []);
        assert_eq!(input.add("; SELECT 3; -- done"), statements(&["SELECT\n\n2 -- ;", "SELECT 3"]));
        assert!(!input.is_pending());
        assert_eq!(input.add("-- only a comment"), []);
        assert!(!input.is_pending());
        assert_eq!(input.add("SELECT\n4;\nSELECT 5;"), statements(&["SELECT\n4", "SELECT 5"]));
    }
}
