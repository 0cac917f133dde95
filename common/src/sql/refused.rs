//! Refuses syntax that DataFusion accepts but for which it returns wrong results. The syntax is
//! checked before the query is planned.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Error, Result};

/// Refused pairs of keywords, each with a hint that says what to write instead.
const REFUSED: &[(Keyword, Keyword, &str)] = &[
    (Keyword::EXCEPT, Keyword::ALL, COPIES),
    (Keyword::INTERSECT, Keyword::ALL, COPIES),
    (Keyword::SIMILAR, Keyword::TO, "use `~` for a regular expression, or `LIKE`"),
];

/// Hint for `EXCEPT ALL` and `INTERSECT ALL`. DataFusion removes or keeps all copies of a row,
/// regardless of the number of copies on the other side.
const COPIES: &str = "leave out `ALL` for rows without copies, or number the copies by `row_number() OVER (PARTITION BY …)` \
                      on both sides first";

/// Refuses a query that uses refused syntax.
///
/// # Errors
/// A configuration error that says what to write instead.
pub(super) fn check(tokens: &[Token]) -> Result<()> {
    let keywords: Vec<Keyword> = tokens
        .iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .map(|token| match token {
            // A quoted word is a name, even if it looks like a keyword.
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        })
        .collect();
    if let Some(number) = tokens.iter().find_map(too_large_for_64_bits) {
        return Err(Error::configuration(format!("the number `{number}` is too large for a BIGINT"))
            .hint(format!("write `CAST('{number}' AS DECIMAL(38, 0))`; a double would lose digits")));
    }
    if let Some((number, word)) = word_after_number(tokens) {
        return Err(Error::configuration(format!("the number `{number}{word}` is not supported"))
            .hint("write digits only, or a space and `AS` before the name of a column"));
    }
    for pair in keywords.windows(2) {
        if let Some((first, second, instead)) = REFUSED.iter().find(|(a, b, _)| pair == [*a, *b]) {
            return Err(Error::configuration(format!("`{first:?} {second:?}` is not supported")).hint(*instead));
        }
    }
    Ok(())
}

/// Returns the first number that is followed by a word without a space, and that word. DataFusion
/// would read the word as a column alias, so `1_000` would be 1, and `0b101` would be 0.
fn word_after_number(tokens: &[Token]) -> Option<(&str, &str)> {
    tokens.windows(2).find_map(|pair| match pair {
        [Token::Number(number, _), Token::Word(word)] if word.quote_style.is_none() => {
            Some((number.as_str(), word.value.as_str()))
        }
        _ => None,
    })
}

/// Returns the digits of `token` if it is an integer that does not fit in 64 bits. DataFusion would
/// read it as a double.
fn too_large_for_64_bits(token: &Token) -> Option<&str> {
    match token {
        Token::Number(number, _) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            number.parse::<u64>().is_err().then_some(number.as_str())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_text;

    #[test]
    fn what_is_answered_wrongly_is_refused_and_nothing_else() {
        for sql in ["SELECT 1 EXCEPT ALL SELECT 2", "SELECT 1 intersect\n all SELECT 2", "SELECT a NOT SIMILAR TO 'b'"]
        {
            let error = check_text(sql).unwrap_err();
            assert!(error.to_string().contains("is not supported") && error.hint.is_some(), "{sql}: {error}");
        }
        let error = check_text("SELECT 18446744073709551616 + a").unwrap_err();
        assert_eq!(error.to_string(), "the number `18446744073709551616` is too large for a BIGINT");
        for sql in ["SELECT 1_000_000", "SELECT 0b101", "SELECT 123abc", "SELECT a + 1.5x FROM t"] {
            let error = check_text(sql).unwrap_err();
            assert!(error.to_string().starts_with("the number `") && error.hint.is_some(), "{sql}: {error}");
        }
        for sql in [
            "SELECT 1 AS abc, 2 abc, 3\"abc\", 1e5, 5-a FROM t",
            "SELECT 18446744073709551615, 1e30, 123456789012345678901234567890.5, '99999999999999999999'",
            "SELECT 1 EXCEPT SELECT 2 UNION ALL SELECT 3",
            "SELECT 'a SIMILAR TO b'",
            "SELECT 1 AS \"except\" -- EXCEPT ALL",
        ] {
            assert!(check_text(sql).is_ok(), "{sql}");
        }
    }
}
