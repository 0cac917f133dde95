//! Commands of the shell, which have the names that they have in psql.

/// Text that `\?` prints.
pub(super) const HELP: &str = "\
A statement may have several lines and ends with `;`.

\\d          list the tables
\\d TABLE    list the columns of a table and their types
\\timing     print the time of each query, or stop printing it
\\?          print this help
\\q          quit, as quit, exit and Ctrl-D do

Ctrl-C cancels the query that runs, or clears what is typed.";

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Backslash {
    Tables,
    /// The columns of a table. Its name is written as in a query.
    Columns(String),
    Timing,
    Help,
    Quit,
    /// A command that does not exist.
    Unknown(String),
}

impl Backslash {
    /// Returns the command on a line, or `None` if the line is part of a statement. Words without a
    /// backslash are commands only if `is_first`, where no statement has started.
    pub(super) fn parse(line: &str, is_first: bool) -> Option<Self> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let word = line.to_ascii_lowercase();
        match word.as_str() {
            "quit" | "exit" if is_first => return Some(Self::Quit),
            "help" if is_first => return Some(Self::Help),
            _ if line.starts_with('\\') => {}
            _ => return None,
        }
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(match (name, argument.trim()) {
            ("\\d" | "\\dt", "") => Self::Tables,
            ("\\d", table) => Self::Columns(table.to_owned()),
            ("\\timing", "") => Self::Timing,
            ("\\?" | "\\h", "") => Self::Help,
            ("\\q", "") => Self::Quit,
            _ => Self::Unknown(line.to_owned()),
        })
    }

    /// Returns the command as it is typed.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Tables => "\\d".to_owned(),
            Self::Columns(table) => format!("\\d {table}"),
            Self::Timing => "\\timing".to_owned(),
            Self::Help => "\\?".to_owned(),
            Self::Quit => "\\q".to_owned(),
            Self::Unknown(line) => line.clone(),
        }
    }
}
