//! `max` and `min` of texts, with the values of all groups in one buffer.
//!
//! DataFusion 55 keeps one `Vec<u8>` per group, and fills a hash map for each batch and column. A
//! query with several `max` of texts over many small groups spends most of its time there. Names,
//! types and intermediate states are those of DataFusion's functions, so plans do not change. The
//! functions that this file registers use `float_extreme` for floating-point numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::kernels::nullif::nullif;
use arrow::compute::{not, prep_null_mask_filter};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};
use datafusion::prelude::SessionContext;

use super::float_extreme;
use super::text_groups::TextGroups;

/// Replaces the session's `max` and `min`.
pub(super) fn register(session: &SessionContext) -> Result<()> {
    for (name, kind) in [("max", Kind::Max), ("min", Kind::Min)] {
        let original = session.udaf(name)?;
        session.register_udaf(AggregateUDF::new_from_impl(TextExtreme { kind, original }));
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Max,
    Min,
}

/// `max` or `min`: DataFusion's own function, except for texts and floating-point numbers in groups.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TextExtreme {
    kind: Kind,
    original: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for TextExtreme {
    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        if args.return_type() == &DataType::Utf8 {
            return Ok(Box::new(TextAccumulator { kind: self.kind, groups: TextGroups::default() }));
        }
        let of_floats = match self.kind {
            Kind::Max => float_extreme::max(args.return_type()),
            Kind::Min => float_extreme::min(args.return_type()),
        };
        of_floats.map_or_else(|| self.original.create_groups_accumulator(args), Ok)
    }

    fn name(&self) -> &str {
        self.original.name()
    }

    fn signature(&self) -> &Signature {
        self.original.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.original.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.original.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.original.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.original.groups_accumulator_supported(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.original.create_sliding_accumulator(args)
    }

    fn is_descending(&self) -> Option<bool> {
        self.original.is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.original.order_sensitivity()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.original.coerce_types(types)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        // The result does not depend on the order of the rows.
        ReversedUDAF::Identical
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.original.value_from_stats(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.original.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.original.inner().set_monotonicity(data_type)
    }
}

#[derive(Debug)]
struct TextAccumulator {
    kind: Kind,
    groups: TextGroups,
}

impl GroupsAccumulator for TextAccumulator {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        let values = filtered(&values[0], filter)?;
        let values = values.as_string::<i32>();
        self.groups.resize(total_groups);
        let is_better = match self.kind {
            // UTF-8 has the same order by bytes as by characters.
            Kind::Max => |new: &[u8], old: &[u8]| new > old,
            Kind::Min => |new: &[u8], old: &[u8]| new < old,
        };
        let mut update = |row: usize, group: usize| {
            let new = values.value(row).as_bytes();
            if self.groups.get(group).is_none_or(|old| is_better(new, old)) {
                self.groups.set(group, new);
            }
        };
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => groups.iter().enumerate().for_each(|(row, group)| update(row, *group)),
            Some(nulls) => nulls.valid_indices().for_each(|row| update(row, groups[row])),
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = match emit_to {
            EmitTo::All => usize::MAX,
            EmitTo::First(groups) => groups,
        };
        Ok(Arc::new(self.groups.take_first(groups)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        // An intermediate state is a text too, so it is merged like a value.
        self.update_batch(states, groups, None, total_groups)
    }

    /// Returns the texts unchanged, because a single text is its own maximum and minimum. Without
    /// this method, DataFusion could not skip a partial aggregation that does not reduce the rows.
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Ok(vec![filtered(&values[0], filter)?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.size()
    }
}

/// Returns `values` with a null in each row that the filter does not select.
fn filtered(values: &ArrayRef, filter: Option<&BooleanArray>) -> Result<ArrayRef> {
    let Some(filter) = filter else { return Ok(Arc::clone(values)) };
    // `prep_null_mask_filter` panics if the filter has no null.
    let selected = if filter.null_count() > 0 { prep_null_mask_filter(filter) } else { filter.clone() };
    Ok(nullif(values, &not(&selected)?)?)
}

#[cfg(test)]
mod tests;
