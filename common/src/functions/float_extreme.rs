//! `max` and `min` of floating-point numbers per group, in their total order.
//!
//! DataFusion 55 starts each group with the least finite number, so `max` of a group of `-inf` is
//! finite. If a group has `NaN`, or both `0.0` and `-0.0`, its result depends on the order of the
//! rows. Without groups, DataFusion uses the total order of IEEE 754. This file uses the same order
//! for groups.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use datafusion::logical_expr::GroupsAccumulator;
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

/// Numbers that come first and last in the total order. They are values of `NaN`.
const FIRST_64: f64 = f64::from_bits(u64::MAX);
const LAST_64: f64 = f64::from_bits(u64::MAX >> 1);
const FIRST_32: f32 = f32::from_bits(u32::MAX);
const LAST_32: f32 = f32::from_bits(u32::MAX >> 1);

/// Returns the accumulator of `max`; `None` if the type is not `Float64` or `Float32`.
pub(super) fn max(data_type: &DataType) -> Option<Box<dyn GroupsAccumulator>> {
    match data_type {
        DataType::Float64 => Some(extreme::<Float64Type>(FIRST_64, |new, old| new.total_cmp(old).is_gt())),
        DataType::Float32 => Some(extreme::<Float32Type>(FIRST_32, |new, old| new.total_cmp(old).is_gt())),
        _ => None,
    }
}

/// Returns the accumulator of `min`, like [`max`].
pub(super) fn min(data_type: &DataType) -> Option<Box<dyn GroupsAccumulator>> {
    match data_type {
        DataType::Float64 => Some(extreme::<Float64Type>(LAST_64, |new, old| new.total_cmp(old).is_lt())),
        DataType::Float32 => Some(extreme::<Float32Type>(LAST_32, |new, old| new.total_cmp(old).is_lt())),
        _ => None,
    }
}

/// Returns an accumulator that keeps the best number of each group, starting with `start`.
fn extreme<T: ArrowPrimitiveType + Send>(
    start: T::Native,
    is_better: impl Fn(&T::Native, &T::Native) -> bool + Send + Sync + 'static,
) -> Box<dyn GroupsAccumulator> {
    let update = move |old: &mut T::Native, new: T::Native| {
        if is_better(&new, old) {
            *old = new;
        }
    };
    Box::new(PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, update).with_starting_value(start))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
    use arrow::compute;
    use datafusion::logical_expr::EmitTo;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Option<f64>> {
        let odd = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN, f64::MIN, f64::MAX];
        option::weighted(0.9, prop_oneof![prop::sample::select(odd.to_vec()), -3.0..3.0])
    }

    proptest! {
        #[test]
        fn a_group_has_the_extremes_of_its_rows(
            first in vec(number(), 4), others in vec((number(), 0..4_usize), 0..20),
        ) {
            // Each group has at least one row, as in a query.
            let rows: Vec<_> = first.into_iter().zip(0..4).chain(others).collect();
            let values: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Float64Array>());
            let groups: Vec<usize> = rows.iter().map(|row| row.1).collect();
            for (accumulator, extreme) in [
                (max(&DataType::Float64), compute::max::<Float64Type> as fn(&Float64Array) -> Option<f64>),
                (min(&DataType::Float64), compute::min::<Float64Type>),
            ] {
                let mut accumulator = accumulator.unwrap();
                accumulator.update_batch(&[Arc::clone(&values)], &groups, None, 4).unwrap();
                let found = accumulator.evaluate(EmitTo::All).unwrap();
                let found = found.as_primitive::<Float64Type>();
                for group in 0..4 {
                    let own: Float64Array = rows.iter().filter(|row| row.1 == group).map(|row| row.0).collect();
                    let found = found.is_valid(group).then(|| found.value(group).to_bits());
                    prop_assert_eq!(found, extreme(&own).map(f64::to_bits), "{}", group);
                }
            }
        }
    }

    #[test]
    fn other_types_are_left_to_datafusion() {
        for data_type in [DataType::Float16, DataType::Int64, DataType::Utf8] {
            assert!(max(&data_type).is_none() && min(&data_type).is_none());
        }
        assert!(max(&DataType::Float32).is_some() && min(&DataType::Float32).is_some());
    }
}
