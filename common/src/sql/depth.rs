//! Limits the depth of a query, before it is parsed.
//!
//! Parsing, planning and running a query each recurse once for each operator of a chain, each join
//! and each nested query, and a stack overflow kills the process. Threads that plan have stacks of
//! `PLANNER_STACK_BYTES`. Queries that could need more stack are refused here by counting tokens.
//! Counting needs no recursion. It may overestimate the depth, but never underestimates it.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Error, Result};

/// Stack size of a thread that plans or runs queries. The memory is only reserved; a thread uses as
/// much as its queries need.
pub const PLANNER_STACK_BYTES: usize = 64 << 20;
/// Maximum number of operators in one expression, including operators of the enclosing expressions.
const MAX_OPERATORS: usize = 2_500;
/// Maximum nesting of parentheses, `CASE`, signs, `NOT` and the like.
const MAX_NESTING: usize = 200;
/// Maximum nesting of subqueries in expressions (`IN (SELECT …)`). Planning 16 takes seconds,
/// planning 50 takes minutes.
const MAX_SUBQUERIES: usize = 16;
/// Maximum number of joins in a query. Planning 200 takes seconds, planning 300 takes half a
/// minute.
const MAX_JOINS: usize = 200;
/// Maximum number of `SELECT`s that one query combines.
const MAX_SELECTS: usize = 1_000;
/// Maximum nesting of types in a text, such as the second argument of `arrow_cast`.
const MAX_TYPES: usize = 50;
/// Recursion limit of the parser. It is higher than the other limits, because the parser's own
/// message names neither the limit nor the cause.
pub(crate) const PARSER_RECURSION_LIMIT: usize = 2 * MAX_OPERATORS;

/// State of one level of parentheses.
#[derive(Debug, Default)]
struct Level {
    /// Number of operators in the current expression.
    operators: usize,
    /// Number of operators since the last operand (2 after `- NOT`), or of empty brackets after a
    /// type (2 after `INT[][]`).
    waiting: usize,
    /// Number of types whose `<` is not closed, as in `ARRAY<STRUCT<…`.
    types: usize,
    /// Whether the level is in a `FROM` clause, where a comma is a join.
    is_in_from: bool,
    /// Whether the level is part of an expression, so that a query in it is a subquery.
    is_in_expression: bool,
    /// Whether the level is a query that is part of an expression.
    is_subquery: bool,
}

/// Open levels with the sum of their operators, and counts of joins and `SELECT`s in the whole
/// query.
#[derive(Debug, Default)]
struct Depth {
    levels: Vec<Level>,
    operators: usize,
    joins: usize,
    selects: usize,
}

/// Refuses a query that is too deep.
///
/// # Errors
/// A configuration error that names the limit.
pub(super) fn check(tokens: &[Token]) -> Result<()> {
    let mut depth = Depth { levels: vec![Level::default()], ..Depth::default() };
    let mut previous = None;
    // Only functions whose names start with `arrow_` parse types in a text, so search texts for
    // types only in queries that contain such a name.
    let names_types = tokens
        .iter()
        .any(|token| matches!(token, Token::Word(word) if word.value.to_lowercase().starts_with("arrow_")));
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        depth.read(token, previous);
        depth.check()?;
        if let Token::SingleQuotedString(text) = token
            && names_types
            && nested(text) > MAX_TYPES
        {
            return Err(too_deep("a type has", MAX_TYPES, "types within each other"));
        }
        previous = Some(token);
    }
    Ok(())
}

/// Returns the nesting depth of the parentheses in a text.
fn nested(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

impl Depth {
    fn read(&mut self, token: &Token, previous: Option<&Token>) {
        match token {
            Token::LParen | Token::LBracket => self.open(previous),
            Token::RParen | Token::RBracket => {
                self.close();
                // `INT[][]` nests a type once per pair of brackets, although no level stays open.
                let is_empty = matches!((previous, token), (Some(Token::LBracket), Token::RBracket));
                self.level().waiting = if is_empty { self.level().waiting + 1 } else { 0 };
            }
            Token::Comma | Token::SemiColon => {
                // A comma in `FROM` is a cross join.
                self.joins += usize::from(self.level().is_in_from);
                self.end_expression();
            }
            Token::Word(word) => self.read_keyword(word.keyword, previous),
            // An operand ends the sequence of operators before it.
            Token::Number(..) | Token::SingleQuotedString(_) => self.level().waiting = 0,
            Token::Period => {}
            // `<` opens a type only after a type's name. Otherwise it is a comparison.
            Token::Lt if is_type(previous) => self.level().types += 1,
            Token::Gt if self.level().types > 0 => self.level().types -= 1,
            // `>>` closes two types at once.
            Token::ShiftRight if self.level().types > 0 => self.level().types -= 2.min(self.level().types),
            _ => self.add_operator(),
        }
    }

    fn read_keyword(&mut self, keyword: Keyword, previous: Option<&Token>) {
        match keyword {
            // `CASE` opens a level like a parenthesis, and `END` closes it.
            Keyword::CASE => {
                self.open(previous);
            }
            Keyword::END => {
                self.close();
                self.level().waiting = 0;
            }
            Keyword::JOIN => {
                self.joins += 1;
                self.end_expression();
            }
            Keyword::SELECT | Keyword::VALUES => {
                self.selects += 1;
                let level = self.level();
                level.is_in_from = false;
                // A `SELECT` in an expression is a subquery; a `SELECT` after `FROM` or `AS` is
                // not.
                level.is_subquery |= level.is_in_expression;
                self.end_expression();
            }
            Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER => {
                self.level().is_in_from = keyword == Keyword::FROM;
                self.end_expression();
            }
            Keyword::ON | Keyword::WHEN | Keyword::THEN | Keyword::ELSE => self.end_expression(),
            Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::BETWEEN
            | Keyword::AT
            | Keyword::COLLATE
            | Keyword::DIV
            | Keyword::XOR
            | Keyword::INTERVAL
            | Keyword::EXPLAIN
            | Keyword::DESCRIBE
            | Keyword::PRIOR => self.add_operator(),
            // Any other word is an operand, such as a column.
            _ => self.level().waiting = 0,
        }
    }

    #[expect(clippy::expect_used, reason = "the first level is never closed")]
    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("a level")
    }

    fn add_operator(&mut self) {
        self.operators += 1;
        let level = self.level();
        level.operators += 1;
        level.waiting += 1;
    }

    fn open(&mut self, previous: Option<&Token>) {
        let is_in_from = self.level().is_in_from;
        // The parenthesis itself recurses too, so it counts as an operator.
        self.operators += 1;
        self.level().operators += 1;
        let is_in_expression = match previous {
            None | Some(Token::SemiColon) => false,
            // After these keywords, the parentheses contain a query or a table, not an expression.
            Some(Token::Word(word)) => !matches!(
                word.keyword,
                Keyword::AS
                    | Keyword::FROM
                    | Keyword::JOIN
                    | Keyword::LATERAL
                    | Keyword::UNION
                    | Keyword::EXCEPT
                    | Keyword::INTERSECT
                    | Keyword::MATERIALIZED
            ),
            Some(Token::Comma | Token::LParen) => !is_in_from && !self.is_query_in_parentheses(),
            Some(_) => true,
        };
        self.levels.push(Level { is_in_expression, ..Level::default() });
    }

    /// Whether the current level is a pair of parentheses outside of expressions.
    /// Parentheses directly inside it contain a query or a join.
    fn is_query_in_parentheses(&self) -> bool {
        self.levels.len() > 1 && self.levels.last().is_some_and(|level| !level.is_in_expression)
    }

    /// Closes a level, except the first one: the parser reports a parenthesis that was never
    /// opened.
    fn close(&mut self) {
        if self.levels.len() > 1
            && let Some(level) = self.levels.pop()
        {
            // The enclosing expression continues without the operators of the closed level.
            self.operators -= level.operators;
        }
    }

    fn end_expression(&mut self) {
        // A new expression starts at the current level.
        self.operators -= self.level().operators;
        let level = self.level();
        level.operators = 0;
        level.waiting = 0;
        level.types = 0;
    }

    fn check(&self) -> Result<()> {
        // Operators without their operand recurse like parentheses, so count both.
        let nesting = self.levels.iter().map(|level| level.waiting + level.types).sum::<usize>() + self.levels.len();
        if nesting > MAX_NESTING {
            return Err(too_deep("it has", MAX_NESTING, "parentheses, `CASE`, signs or `NOT` within each other")
                .hint("give parts of it names by common table expressions (`WITH … AS (…)`)"));
        }
        if self.levels.iter().filter(|level| level.is_subquery).count() > MAX_SUBQUERIES {
            return Err(too_deep("it has", MAX_SUBQUERIES, "subqueries of conditions or values within each other")
                .hint("join with the inner queries instead, or build parts of it as tables of their own"));
        }
        if self.operators > MAX_OPERATORS {
            return Err(too_deep("an expression has", MAX_OPERATORS, "operators")
                .hint("compute parts of it in common table expressions, or use `IN (…)` instead of many `OR`"));
        }
        for (count, limit, what) in [(self.joins, MAX_JOINS, "joins"), (self.selects, MAX_SELECTS, "`SELECT`s")] {
            if count > limit {
                return Err(
                    too_deep("it has", limit, what).hint("build parts of it as tables of their own, with a model each")
                );
            }
        }
        Ok(())
    }
}

/// Whether `token` is a type that may be followed by its element types in `<…>`.
fn is_type(token: Option<&Token>) -> bool {
    let Some(Token::Word(word)) = token else { return false };
    matches!(word.keyword, Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP)
}

fn too_deep(subject: &str, limit: usize, what: &str) -> Error {
    Error::configuration(format!("the query is too deep: {subject} more than {limit} {what}"))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn check(sql: &str) -> crate::error::Result<()> {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
        tokens.map_or(Ok(()), |tokens| super::check(&tokens))
    }

    #[test]
    fn long_lists_are_not_deep_and_long_chains_are() {
        let list = |item: &str, separator: &str, n: usize| vec![item; n].join(separator);
        for (sql, is_fine) in [
            (format!("SELECT a FROM t WHERE a IN ({})", list("-1", ", ", 100_000)), true),
            (format!("SELECT {} FROM t", list("a + b AS c", ", ", 10_000)), true),
            (format!("SELECT {} FROM t", list("a", " + ", 2_500)), true),
            (format!("SELECT {} FROM t", list("a", " + ", 2_502)), false),
            (format!("SELECT {} FROM t", list("f(a, b)", " || ", 2_502)), false),
            (format!("SELECT {} FROM t", list("CASE WHEN a THEN b END", " || ", 2_502)), false),
            (format!("SELECT a FROM t WHERE {}", list("a = 1", " OR ", 1_252)), false),
            (format!("SELECT {}a{}", "(".repeat(199), ")".repeat(199)), true),
            (format!("SELECT {}a{}", "(".repeat(200), ")".repeat(200)), false),
            (format!("SELECT {}a{}", "CASE WHEN b THEN ".repeat(200), " END".repeat(200)), false),
            (format!("SELECT a FROM t {}", list("JOIN u ON t.a = u.a", " ", 200)), true),
            (format!("SELECT a FROM t {}", list("JOIN u ON t.a = u.a", " ", 201)), false),
            (format!("SELECT a FROM {} WHERE a = 1", list("t", ", ", 202)), false),
            // Operators without an operand between them.
            (format!("SELECT {}a FROM t", "- ".repeat(199)), true),
            (format!("SELECT {}a FROM t", "- ".repeat(200)), false),
            (format!("SELECT {}a FROM t", "NOT ".repeat(200)), false),
            (format!("SELECT {}'1 day'", "INTERVAL ".repeat(200)), false),
            (format!("{}SELECT 1", "EXPLAIN ".repeat(200)), false),
            (format!("SELECT {}a{}", "-(- ".repeat(70), ")".repeat(70)), false),
            (format!("SELECT {}", list("- a", ", ", 1_000)), true),
            (format!("SELECT {}", list("- a", " + ", 1_000)), true),
            (format!("SELECT a FROM t WHERE {}", list("NOT a", " AND ", 1_000)), true),
            // Nested types.
            (format!("SELECT CAST(a AS {}INT{})", "ARRAY<".repeat(200), ">".repeat(200)), false),
            (format!("SELECT CAST(a AS {}INT{})", "ARRAY<".repeat(20), ">".repeat(20)), true),
            (format!("SELECT CAST(a AS INT{})", "[]".repeat(200)), false),
            (format!("SELECT arrow_cast(a, '{}Int8{}')", "List(".repeat(60), ")".repeat(60)), false),
            (format!("SELECT arrow_cast(a, '{}Int8{}')", "List(".repeat(40), ")".repeat(40)), true),
            // Nested subqueries.
            (format!("{}SELECT 1{}", "SELECT a FROM t WHERE a IN (".repeat(16), ")".repeat(16)), true),
            (format!("{}SELECT 1{}", "SELECT a FROM t WHERE a IN (".repeat(17), ")".repeat(17)), false),
            (format!("{}SELECT 1{}", "SELECT a, (".repeat(17), ")".repeat(17)), false),
            (format!("{}SELECT 1 a{}", "SELECT a FROM (".repeat(100), ") AS t".repeat(100)), true),
            (format!("WITH {} SELECT 1", list("a AS (SELECT 1)", ", ", 100)), true),
            (format!("SELECT a FROM t ORDER BY {}", list("a", ", ", 2_000)), true),
            (list("SELECT a, b FROM t", " UNION ALL ", 1_000), true),
            (list("SELECT a, b FROM t", " UNION ALL ", 1_001), false),
            (format!("SELECT 'it''s ( not' {}", list("+ 'a' ", "", 10)), true),
            ("SELECT ))) END END 'open".to_owned(), true),
        ] {
            assert_eq!(check(&sql).is_ok(), is_fine, "{}", &sql[..sql.len().min(100)]);
        }
    }

    #[test]
    fn a_refusal_names_the_limit() {
        let error = check(&vec!["a"; 5_000].join("+")).unwrap_err();
        assert_eq!(error.to_string(), "the query is too deep: an expression has more than 2500 operators");
    }
}
