//! ③ The text of a JSON number, and its exact value in decimal.

/// Parts of a number's text, by the grammar of RFC 8259, section 6.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    negative: bool,
    integer: &'a [u8],
    /// Digits after the decimal point, without the point.
    fraction: &'a [u8],
    /// Exponent, clamped to ±10^9. No text has enough digits to compensate for a larger one.
    exponent: Option<i64>,
}

/// A number times a power of ten, without the digits after the decimal point.
pub(super) struct Scaled {
    pub(super) value: i128,
    /// Whether every digit that was dropped is a zero.
    pub(super) exact: bool,
}

impl<'a> Number<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.as_bytes();
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (integer, rest) = split_digits(rest);
        if integer.is_empty() || (integer.len() > 1 && integer[0] == b'0') {
            return None;
        }
        let (fraction, rest): (&[u8], &[u8]) = match rest {
            [b'.', rest @ ..] => match split_digits(rest) {
                ([], _) => return None,
                split => split,
            },
            _ => (&[], rest),
        };
        let exponent = match rest {
            [] => None,
            [b'e' | b'E', rest @ ..] => Some(parse_exponent(rest)?),
            _ => return None,
        };
        Some(Self { negative, integer, fraction, exponent })
    }

    pub(super) fn is_integer(&self) -> bool {
        self.fraction.is_empty() && self.exponent.is_none()
    }

    /// Returns this number times 10^`places`, or `None` if the result has more than `digits` (at
    /// most 38) digits.
    pub(super) fn scaled(&self, places: i64, digits: i64) -> Option<Scaled> {
        let integer_digits = i64::try_from(self.integer.len()).ok()?;
        // Power of ten of the current digit in the result, starting with the first digit.
        let mut power = integer_digits - 1 + self.exponent.unwrap_or(0) + places;
        let mut scaled = Scaled { value: 0, exact: true };
        for digit in self.integer.iter().chain(self.fraction).map(|digit| i128::from(digit - b'0')) {
            if power < 0 {
                scaled.exact &= digit == 0;
            } else {
                // A digit beyond the limit must be a leading zero.
                if digit != 0 && power >= digits {
                    return None;
                }
                scaled.value = scaled.value * 10 + digit;
            }
            power -= 1;
        }
        // Append zeros after the last digit. A value of zero needs none, and its exponent may be
        // too large for `pow`.
        if scaled.value != 0 && power >= 0 {
            scaled.value *= 10i128.pow(u32::try_from(power + 1).ok()?);
        }
        if self.negative {
            scaled.value = -scaled.value;
        }
        Some(scaled)
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        _ => (1, text),
    };
    let (digits, rest) = split_digits(digits);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    // Clamped after each digit, so that a long exponent does not overflow.
    let magnitude = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1_000_000_000));
    Some(sign * magnitude)
}
