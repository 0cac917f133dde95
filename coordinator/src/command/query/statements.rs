//! Splits SQL text into statements.
//!
//! The tokenizer is the one that DataFusion parses with. So quotes and comments hide a `;` here
//! exactly where they do in a query.

use std::iter::Peekable;
use std::str::CharIndices;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

/// One statement, from its first token, without its `;`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::command) struct Statement<'a> {
    pub(in crate::command) sql: &'a str,
    /// Line of the text on which the statement starts, counted from 1.
    pub(in crate::command) line: u64,
}

/// The text after the last `;`, to the end.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::command) enum Rest<'a> {
    /// Only space and comments.
    Blank,
    /// A statement without `;`.
    Open(Statement<'a>),
    /// A statement that ends inside a quoted text or a comment.
    Quoted(Statement<'a>),
    /// A statement that no further text makes valid.
    Invalid(Statement<'a>),
}

/// Returns the statements that end with `;`, and the rest. Statements without any token are left
/// out.
pub(in crate::command) fn split(text: &str) -> (Vec<Statement<'_>>, Rest<'_>) {
    let mut tokens = Vec::new();
    let outcome = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location_into_buf(&mut tokens);
    let mut positions = Positions::new(text);
    let mut statements = Vec::new();
    // Offset and line of the first token of the current statement.
    let mut start = None;
    for token in &tokens {
        match token.token {
            Token::Whitespace(_) => {}
            Token::SemiColon => {
                let end = positions.offset_of(token.span.start);
                // The tokens inside an optimizer hint (`/*! … */`) have inexact positions.
                if !text[end..].starts_with(';') {
                    continue;
                }
                if let Some((start, line)) = start.take() {
                    statements.push(Statement { sql: text[start..end].trim_end(), line });
                }
            }
            _ if start.is_none() => start = Some((positions.offset_of(token.span.start), token.span.start.line)),
            _ => {}
        }
    }
    let from = |(start, line): (usize, u64)| Statement { sql: &text[start..], line };
    let rest = match (outcome, start) {
        (Ok(()), None) => Rest::Blank,
        (Ok(()), Some(start)) => Rest::Open(from(start)),
        (Err(_), start) => {
            let failed_at = tokens.last().map_or(Location { line: 1, column: 1 }, |token| token.span.end);
            let offset = positions.offset_of(failed_at);
            let statement = from(start.unwrap_or((offset, failed_at.line)));
            if is_unterminated(&text[offset..]) { Rest::Quoted(statement) } else { Rest::Invalid(statement) }
        }
    };
    (statements, rest)
}

/// Returns whether a text that starts with an invalid token is valid once a quote or a comment is
/// closed at its end.
fn is_unterminated(text: &str) -> bool {
    // Comments can be nested. The space keeps the ends from starting a comment: `*/*`.
    let comments = "*/ ".repeat(text.matches("/*").count());
    // The end of `$tag$ …` is its start.
    let dollars = text.strip_prefix('$').and_then(|rest| rest.split_once('$')).map(|(tag, _)| format!("${tag}$"));
    let ends = ["'", "\"", "`", comments.as_str(), dollars.as_deref().unwrap_or_default()];
    ends.iter().any(|end| Tokenizer::new(&GenericDialect {}, &format!("{text}{end}")).tokenize().is_ok())
}

/// Converts the positions of tokens, which are lines and columns, to offsets. Positions must
/// ascend.
struct Positions<'a> {
    text: &'a str,
    characters: Peekable<CharIndices<'a>>,
    /// Position of the next character.
    next: Location,
}

impl<'a> Positions<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, characters: text.char_indices().peekable(), next: Location { line: 1, column: 1 } }
    }

    fn offset_of(&mut self, position: Location) -> usize {
        while self.next < position {
            match self.characters.next() {
                // The tokenizer counts lines by line feeds alone.
                Some((_, '\n')) => self.next = Location { line: self.next.line + 1, column: 1 },
                Some(_) => self.next.column += 1,
                None => break,
            }
        }
        self.characters.peek().map_or(self.text.len(), |(offset, _)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the texts of all statements, the last one with a mark that says what follows it.
    fn shown(text: &str) -> Vec<String> {
        let (statements, rest) = split(text);
        let last = match rest {
            Rest::Blank => None,
            Rest::Open(statement) => Some(format!("{} …", statement.sql.trim_end())),
            Rest::Quoted(statement) => Some(format!("{} \"…", statement.sql)),
            Rest::Invalid(statement) => Some(format!("{} !", statement.sql)),
        };
        statements.iter().map(|statement| statement.sql.to_owned()).chain(last).collect()
    }

    #[test]
    fn a_statement_ends_at_a_semicolon_outside_of_quotes_and_comments() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \n ; ;; -- nothing;\n /* ; */ ", &[]),
            ("SELECT 1", &["SELECT 1 …"]),
            ("SELECT 1;", &["SELECT 1"]),
            (" SELECT 1 ;\nSELECT\n2; SELECT 3 ", &["SELECT 1", "SELECT\n2", "SELECT 3 …"]),
            ("SELECT ';', 'it''s;'; x", &["SELECT ';', 'it''s;'", "x …"]),
            ("SELECT 'a\\'; 'b'", &["SELECT 'a\\'", "'b' …"]),
            ("SELECT E'a\\';b'; x", &["SELECT E'a\\';b'", "x …"]),
            ("SELECT \"a;\"\"b;\", `c;`; x", &["SELECT \"a;\"\"b;\", `c;`", "x …"]),
            ("SELECT $$a;'$$, $t$ $$; $t$; x", &["SELECT $$a;'$$, $t$ $$; $t$", "x …"]),
            ("-- a; 'b\nSELECT 1; -- c;\n", &["SELECT 1"]),
            ("SELECT 1 -- a;\n+ 1; x", &["SELECT 1 -- a;\n+ 1", "x …"]),
            ("/* a; 'b */ SELECT 1 /* ; */; x", &["SELECT 1 /* ; */", "x …"]),
            ("/* a /* b; */ c; */ SELECT 1; x", &["SELECT 1", "x …"]),
            ("SELECT /*! 1; */ 2; x", &["SELECT /*! 1; */ 2", "x …"]),
            ("SELECT 'é;日本'; SELECT '🎉'; x", &["SELECT 'é;日本'", "SELECT '🎉'", "x …"]),
            ("SELECT 1;\r\nSELECT 2;\r\n", &["SELECT 1", "SELECT 2"]),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), *expected, "{text}");
        }
    }

    #[test]
    fn an_open_quote_or_comment_differs_from_text_that_is_never_valid() {
        let cases: &[(&str, &[&str])] = &[
            ("SELECT 'a; b", &["SELECT 'a; b \"…"]),
            ("x; SELECT 'it''", &["x", "SELECT 'it'' \"…"]),
            ("SELECT E'a\\'; b", &["SELECT E'a\\'; b \"…"]),
            ("SELECT \"a;", &["SELECT \"a; \"…"]),
            ("SELECT `a;", &["SELECT `a; \"…"]),
            ("SELECT $$a;", &["SELECT $$a; \"…"]),
            ("SELECT $t$a; $$", &["SELECT $t$a; $$ \"…"]),
            ("x; /* a; don't", &["x", "/* a; don't \"…"]),
            ("SELECT 1 /* a /* b */ c;", &["SELECT 1 /* a /* b */ c; \"…"]),
            ("SELECT 1 /* a /* b;", &["SELECT 1 /* a /* b; \"…"]),
            ("x; SELECT E'\\u12';", &["x", "SELECT E'\\u12'; !"]),
            ("x; SELECT (._a);", &["x", "SELECT (._a); !"]),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_statement_knows_the_line_of_its_first_token() {
        let (statements, rest) = split("-- a\n/* b\n*/ SELECT 1;;\n\nSELECT\n2; SELECT '\n';\n\nSELECT 'c");
        let lines: Vec<u64> = statements.iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [3, 5, 6]);
        assert_eq!(rest, Rest::Quoted(Statement { sql: "SELECT 'c", line: 9 }));
    }
}
