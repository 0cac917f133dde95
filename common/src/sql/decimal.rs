//! Divides decimals, rounding half away from zero as PostgreSQL and Spark do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array, new_empty_array};
use arrow::compute::kernels::numeric::div;
use arrow::datatypes::{DataType, Decimal128Type, i256};
use arrow::error::ArrowError;

/// Returns `left / right` with the type that Arrow chooses for the quotient. Quotients of decimals
/// of 256 bits are truncated, as in Arrow: such decimals only come from a cast in SQL to more than
/// 38 digits.
pub(super) fn divide(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let ((lefts, is_left_one), (rights, is_right_one)) = (left.get(), right.get());
    let (DataType::Decimal128(_, left_scale), DataType::Decimal128(_, right_scale)) =
        (lefts.data_type(), rights.data_type())
    else {
        return div(left, right);
    };
    // Dividing no rows is the simplest way to get the type that Arrow would choose.
    let result = div(&new_empty_array(lefts.data_type()), &new_empty_array(rights.data_type()))?;
    let DataType::Decimal128(precision, scale) = result.data_type() else { return div(left, right) };
    // A quotient of scale `s` is `left * 10^(s - left_scale + right_scale) / right` in whole
    // numbers.
    let shift = i32::from(*scale) - i32::from(*left_scale) + i32::from(*right_scale);
    let (lefts, rights) = (lefts.as_primitive::<Decimal128Type>(), rights.as_primitive::<Decimal128Type>());
    let rows = if is_left_one { rights.len() } else { lefts.len() };
    let at = |values: &Decimal128Array, is_one: bool, row: usize| {
        let row = if is_one { 0 } else { row };
        values.is_valid(row).then(|| values.value(row))
    };
    let quotients: Decimal128Array = (0..rows)
        .map(|row| match (at(lefts, is_left_one, row), at(rights, is_right_one, row)) {
            (Some(left), Some(right)) => quotient(left, right, shift).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<_, ArrowError>>()?;
    Ok(Arc::new(quotients.with_precision_and_scale(*precision, *scale)?))
}

fn quotient(left: i128, right: i128, shift: i32) -> Result<i128, ArrowError> {
    if right == 0 {
        return Err(ArrowError::DivideByZero);
    }
    let overflow =
        || ArrowError::ArithmeticOverflow(format!("a quotient of decimals has too many digits: {left} / {right}"));
    let factor = 10_i128.checked_pow(shift.unsigned_abs());
    // Most quotients fit 128 bits, which is much faster than 256.
    let narrow = match (shift >= 0, factor) {
        (true, Some(factor)) => left.checked_mul(factor).map(|left| (left, right)),
        (false, Some(factor)) => right.checked_mul(factor).map(|right| (left, right)),
        _ => None,
    };
    if let Some((left, right)) = narrow {
        return Ok(rounded(left, right));
    }
    let factor = i256::from_i128(10).checked_pow(shift.unsigned_abs()).ok_or_else(overflow)?;
    let (left, right) = (i256::from_i128(left), i256::from_i128(right));
    let (left, right) = if shift >= 0 {
        (left.checked_mul(factor).ok_or_else(overflow)?, right)
    } else {
        (left, right.checked_mul(factor).ok_or_else(overflow)?)
    };
    // Round as `rounded` does, but in 256 bits.
    let (whole, rest) = (left.wrapping_div(right), left.wrapping_rem(right));
    let is_up = rest.wrapping_abs() >= right.wrapping_abs().wrapping_sub(rest.wrapping_abs());
    let step = if (left < i256::ZERO) == (right < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    let whole = if is_up { whole.wrapping_add(step) } else { whole };
    whole.to_i128().ok_or_else(overflow)
}

fn rounded(left: i128, right: i128) -> i128 {
    let (whole, rest) = (left / right, left % right);
    // Compare without doubling `rest`, because that could overflow.
    let is_up = rest.unsigned_abs() >= right.unsigned_abs() - rest.unsigned_abs();
    let step = if (left < 0) == (right < 0) { 1 } else { -1 };
    if is_up { whole + step } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_is_rounded_half_away_from_zero() {
        for (left, right, shift, expected) in [
            (10, 4, 0, 3),
            (-10, 4, 0, -3),
            (10, -4, 0, -3),
            (-10, -4, 0, 3),
            (9, 4, 0, 2),
            (2, 3, 4, 6667),
            (1, 3, 4, 3333),
            (15, 1, -1, 2),
            (-15, 1, -1, -2),
            (14, 1, -1, 1),
            (0, 7, 4, 0),
            (
                i128::from(i64::MAX) * 1_000_000_000_000_000_000,
                10_000_000_000_000_000_000_000,
                4,
                9_223_372_036_854_775_807,
            ),
        ] {
            assert_eq!(quotient(left, right, shift).unwrap(), expected, "{left} / {right}, {shift}");
        }
        assert!(quotient(1, 0, 4).is_err());
        assert!(quotient(10_i128.pow(37), 1, 10).is_err());
    }
}
