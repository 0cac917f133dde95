//! A limit on how deep a query may be, before it is parsed.
//!
//! Parser, planner and execution call themselves once for each operator of a chain, each join and each nested query, and
//! a stack that overflows ends the process. Threads that plan have stacks of [`PLANNER_STACK_BYTES`]; what could need
//! more is refused here, by counting tokens: that needs no stack, and counts rather too much than too little.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Error, Result};

/// The stack of a thread that plans or runs queries. It is reserved, not used: a thread takes what its queries need.
pub const PLANNER_STACK_BYTES: usize = 64 << 20;
/// Operators in one expression, those of the expressions around it included.
const MAX_OPERATORS: usize = 2_500;
/// Parentheses and `CASE` within each other.
const MAX_NESTING: usize = 200;
/// Tables that are joined and queries that are combined, in one query.
const MAX_RELATIONS: usize = 1_000;
/// Beyond the other limits, so that the parser's own message, which names neither limit nor cause, is not seen.
pub(crate) const PARSER_RECURSION_LIMIT: usize = 2 * MAX_OPERATORS;

/// One level of parentheses.
#[derive(Debug, Default)]
struct Level {
    /// Of the expression that is being read.
    operators: usize,
    /// A comma separates tables to be joined.
    is_in_from: bool,
}

/// Refuses a query that is too deep.
///
/// # Errors
/// Configuration, naming the limit.
pub(super) fn check(tokens: &[Token]) -> Result<()> {
    let mut levels = vec![Level::default()];
    let (mut operators, mut relations) = (0, 0);
    for token in tokens {
        let Some(level) = levels.last_mut() else { break };
        match token {
            Token::LParen | Token::LBracket => {
                level.operators += 1;
                operators += 1;
                levels.push(Level::default());
            }
            Token::RParen | Token::RBracket => close(&mut levels, &mut operators),
            Token::Comma | Token::SemiColon => {
                relations += usize::from(level.is_in_from);
                reset(level, &mut operators);
            }
            Token::Word(word) => match word.keyword {
                Keyword::CASE => {
                    level.operators += 1;
                    operators += 1;
                    levels.push(Level::default());
                }
                Keyword::END => close(&mut levels, &mut operators),
                Keyword::JOIN | Keyword::SELECT | Keyword::VALUES => {
                    relations += 1;
                    level.is_in_from &= word.keyword == Keyword::JOIN;
                    reset(level, &mut operators);
                }
                Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER => {
                    level.is_in_from = word.keyword == Keyword::FROM;
                    reset(level, &mut operators);
                }
                Keyword::ON | Keyword::WHEN | Keyword::THEN | Keyword::ELSE => reset(level, &mut operators),
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
                | Keyword::XOR => {
                    level.operators += 1;
                    operators += 1;
                }
                _ => {}
            },
            Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Period => {}
            _ => {
                level.operators += 1;
                operators += 1;
            }
        }
        if levels.len() > MAX_NESTING {
            return Err(too_deep("it has", MAX_NESTING, "parentheses or `CASE` within each other")
                .hint("give parts of it names by common table expressions (`WITH … AS (…)`)"));
        }
        if operators > MAX_OPERATORS {
            return Err(too_deep("an expression has", MAX_OPERATORS, "operators")
                .hint("compute parts of it in common table expressions, or use `IN (…)` instead of many `OR`"));
        }
        if relations > MAX_RELATIONS {
            return Err(too_deep("it has", MAX_RELATIONS, "joins and `SELECT`s")
                .hint("build parts of it as tables of their own, with a model each"));
        }
    }
    Ok(())
}

fn too_deep(subject: &str, limit: usize, what: &str) -> Error {
    Error::configuration(format!("the query is too deep: {subject} more than {limit} {what}"))
}

fn reset(level: &mut Level, operators: &mut usize) {
    *operators -= level.operators;
    level.operators = 0;
}

/// Ends a level; the parser reports one that was never begun.
fn close(levels: &mut Vec<Level>, operators: &mut usize) {
    if levels.len() > 1
        && let Some(level) = levels.pop()
    {
        *operators -= level.operators;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::check_text;

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
            (format!("SELECT a FROM t {}", list("JOIN u ON t.a = u.a", " ", 999)), true),
            (format!("SELECT a FROM t {}", list("JOIN u ON t.a = u.a", " ", 1_000)), false),
            (format!("SELECT a FROM {} WHERE a = 1", list("t", ", ", 1_001)), false),
            (format!("SELECT a FROM t ORDER BY {}", list("a", ", ", 2_000)), true),
            (list("SELECT a, b FROM t", " UNION ALL ", 1_000), true),
            (list("SELECT a, b FROM t", " UNION ALL ", 1_001), false),
            (format!("SELECT 'it''s ( not' {}", list("+ 'a' ", "", 10)), true),
            ("SELECT ))) END END 'open".to_owned(), true),
        ] {
            assert_eq!(check_text(&sql).is_ok(), is_fine, "{}", &sql[..sql.len().min(100)]);
        }
    }

    #[test]
    fn a_refusal_names_the_limit() {
        let error = check_text(&vec!["a"; 5_000].join("+")).unwrap_err();
        assert_eq!(error.to_string(), "the query is too deep: an expression has more than 2500 operators");
    }
}
