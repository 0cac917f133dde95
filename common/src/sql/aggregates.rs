//! Exact `sum` and `avg`: they return the right result or fail.
//!
//! DataFusion adds integers in 64 bits and decimals in the width of their type, so sums wrap around
//! on overflow. It also truncates the average of decimals. Here, its accumulators work in a wider
//! type that cannot overflow. So neither the order of the rows nor their distribution over tasks
//! decides whether a sum fits. Only the final result is converted to the declared type. It is
//! rounded half away from zero, and an overflow is an error. Types that need none of this use
//! DataFusion's functions unchanged.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature,
};
use datafusion::prelude::SessionContext;

/// Maximum precision of decimals that need no wider type, because the sum of up to 10^18 rows fits
/// 128 bits.
const MAX_NARROW_PRECISION: u8 = 20;
/// Type of integer sums. The sum of 2^62 values of 64 bits fits in its 38 digits.
const WIDE_INTEGER: DataType = DataType::Decimal128(38, 0);

/// Replaces `sum` and `avg` of the session.
pub(super) fn register(session: &SessionContext) -> Result<()> {
    for (name, kind) in [("sum", Kind::Sum), ("avg", Kind::Average)] {
        let original = session.udaf(name)?;
        session.register_udaf(AggregateUDF::new_from_impl(Exact { kind, original }));
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Average,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    kind: Kind,
    original: Arc<AggregateUDF>,
}

/// Wider types of the input and the result, with which DataFusion's function is called.
#[derive(Debug, Clone)]
struct Wide {
    input: FieldRef,
    result: FieldRef,
}

impl Exact {
    /// Returns the wide types, or `None` if DataFusion's function handles the type correctly.
    fn wide(&self, input: &DataType) -> Option<Wide> {
        let field = |data_type| Arc::new(Field::new("wide", data_type, true));
        let (input, result) = match (self.kind, input) {
            // Durations are added as integers; the sum is converted back.
            (Kind::Sum, DataType::Int64 | DataType::UInt64 | DataType::Duration(_)) => (WIDE_INTEGER, WIDE_INTEGER),
            (Kind::Sum, DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale)) => {
                (DataType::Decimal128(38, *scale), DataType::Decimal128(38, *scale))
            }
            // Use the maximum number of digits in 256 bits, so that the sum fits for any number of
            // rows.
            (Kind::Sum, DataType::Decimal128(precision, scale)) if *precision > MAX_NARROW_PRECISION => {
                (DataType::Decimal256(76, *scale), DataType::Decimal256(76, *scale))
            }
            (Kind::Average, DataType::Decimal128(precision, scale)) => {
                // One more digit than in the result, to round by it.
                let result_scale = average_scale(*precision, *scale) + 1;
                if *precision > MAX_NARROW_PRECISION || result_scale > 37 {
                    (DataType::Decimal256(76, *scale), DataType::Decimal256(76, result_scale))
                } else {
                    (input.clone(), DataType::Decimal128(38, result_scale))
                }
            }
            // Other types, such as doubles, do not wrap around.
            _ => return None,
        };
        Some(Wide { input: field(input), result: field(result) })
    }

    /// Calls DataFusion's function as if the input had the wide type.
    fn widened<T>(
        &self,
        args: &AccumulatorArgs<'_>,
        wide: &Wide,
        call: impl FnOnce(AccumulatorArgs<'_>) -> Result<T>,
    ) -> Result<T> {
        call(AccumulatorArgs {
            return_field: Arc::clone(&wide.result),
            schema: args.schema,
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys,
            is_reversed: args.is_reversed,
            name: args.name,
            is_distinct: args.is_distinct,
            exprs: args.exprs,
            // The expressions keep their type. Only the declared type of the input changes, and
            // `Shape::widen` converts the values.
            expr_fields: std::slice::from_ref(&wide.input),
        })
    }

    fn shape(&self, args: &AccumulatorArgs<'_>, wide: &Wide) -> Shape {
        Shape {
            name: self.original.name().to_owned(),
            input: wide.input.data_type().clone(),
            result: args.return_type().clone(),
        }
    }
}

/// Returns the number of decimal places of an average: four more than in the input, or fewer if the
/// digits before the point need the space.
fn average_scale(precision: u8, scale: i8) -> i8 {
    let whole = i16::from(precision) - i16::from(scale);
    // 38 is the maximum precision in 128 bits. An average never has fewer places than the input.
    let room = (38 - whole).clamp(i16::from(scale).min(38), 38);
    i8::try_from((i16::from(scale) + 4).min(room)).unwrap_or(scale)
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        self.original.name()
    }

    fn aliases(&self) -> &[String] {
        self.original.aliases()
    }

    fn signature(&self) -> &Signature {
        self.original.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.kind, types) {
            (Kind::Average, [DataType::Decimal128(precision, scale)]) => {
                // Like DataFusion's `avg`, but with a scale that leaves room for the digits before
                // the point.
                Ok(DataType::Decimal128(precision.saturating_add(4).min(38), average_scale(*precision, *scale)))
            }
            _ => self.original.return_type(types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let Some(wide) = self.wide(args.expr_fields[0].data_type()) else { return self.original.accumulator(args) };
        let inner = self.widened(&args, &wide, |args| self.original.accumulator(args))?;
        Ok(Box::new(ExactAccumulator { inner, shape: self.shape(&args, &wide) }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let Some(wide) = self.wide(args.input_fields[0].data_type()) else { return self.original.state_fields(args) };
        // Intermediate states have the wide type, because partial results of tasks are merged
        // before the result is narrowed.
        self.original.state_fields(StateFieldsArgs {
            name: args.name,
            input_fields: std::slice::from_ref(&wide.input),
            return_field: Arc::clone(&wide.result),
            ordering_fields: args.ordering_fields,
            is_distinct: args.is_distinct,
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        // DataFusion's decision does not depend on the type of the input.
        self.original.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(wide) = self.wide(args.expr_fields[0].data_type()) else {
            return self.original.create_groups_accumulator(args);
        };
        let inner = self.widened(&args, &wide, |args| self.original.create_groups_accumulator(args))?;
        Ok(Box::new(ExactGroups { inner, shape: self.shape(&args, &wide) }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let Some(wide) = self.wide(args.expr_fields[0].data_type()) else {
            return self.original.create_sliding_accumulator(args);
        };
        let shape = self.shape(&args, &wide);
        // DataFusion implements distinct sums over a moving window only for 64 bits.
        let inner: Box<dyn Accumulator> = if self.kind == Kind::Sum && args.is_distinct && shape.input == WIDE_INTEGER {
            Box::new(SlidingDistinct::default())
        } else {
            self.widened(&args, &wide, |args| self.original.create_sliding_accumulator(args))?
        };
        Ok(Box::new(ExactAccumulator { inner, shape }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        // Exact sums do not depend on the order, so the order of the rows may be reversed or
        // dropped.
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.original.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.original.documentation()
    }
}

/// Type in which values are added, and type of the result.
#[derive(Debug)]
struct Shape {
    name: String,
    input: DataType,
    result: DataType,
}

impl Shape {
    fn widen(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        values.iter().map(|values| convert(values, &self.input)).collect()
    }

    fn narrow(&self, results: &ArrayRef) -> Result<ArrayRef> {
        convert(results, &self.result)
            .map_err(|e| DataFusionError::Execution(format!("overflow in {}: {}", self.name, e.strip_backtrace())))
    }

    fn narrow_scalar(&self, result: &ScalarValue) -> Result<ScalarValue> {
        // Fast path: a window function calls this once per row.
        if let (ScalarValue::Decimal128(Some(sum), _, 0), DataType::Int64) = (result, &self.result)
            && let Ok(sum) = i64::try_from(*sum)
        {
            return Ok(ScalarValue::Int64(Some(sum)));
        }
        ScalarValue::try_from_array(&self.narrow(&result.to_array()?)?, 0)
    }
}

/// Converts values to another type, rounding half away from zero. Fails if a value does not fit.
fn convert(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = values.data_type();
    if from == to {
        return Ok(Arc::clone(values));
    }
    // Fast path for the most common sum. It skips the checks of Arrow's cast, which an `i64` always
    // passes.
    if let (Some(values), DataType::Decimal128(_, 0)) = (values.as_primitive_opt::<Int64Type>(), to) {
        let wide = values.unary::<_, Decimal128Type>(i128::from);
        return Ok(Arc::new(wide.with_data_type(to.clone())));
    }
    // `safe: false` makes a value that does not fit an error instead of null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    match (from, to) {
        // Arrow casts durations only to integers and from integers.
        (DataType::Duration(_), _) | (_, DataType::Duration(_)) => {
            let counts = cast_with_options(values, &DataType::Int64, &options)?;
            Ok(cast_with_options(&counts, to, &options)?)
        }
        _ => Ok(cast_with_options(values, to, &options)?),
    }
}

#[derive(Debug)]
struct ExactAccumulator {
    inner: Box<dyn Accumulator>,
    shape: Shape,
}

impl Accumulator for ExactAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&self.shape.widen(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.shape.narrow_scalar(&self.inner.evaluate()?)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&self.shape.widen(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct ExactGroups {
    inner: Box<dyn GroupsAccumulator>,
    shape: Shape,
}

impl GroupsAccumulator for ExactGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(&self.shape.widen(values)?, groups, filter, total_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.shape.narrow(&self.inner.evaluate(emit_to)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        self.inner.merge_batch(values, groups, total_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&self.shape.widen(values)?, filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}

/// `sum(DISTINCT …)` of integers over a moving window. DataFusion implements it only for 64 bits.
#[derive(Debug, Default)]
struct SlidingDistinct {
    copies: HashMap<i128, usize>,
    sum: i128,
}

impl Accumulator for SlidingDistinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // Each distinct value is added once, so only its first copy changes the sum.
        for value in values[0].as_primitive::<Decimal128Type>().iter().flatten() {
            let copies = self.copies.entry(value).or_default();
            if *copies == 0 {
                self.sum += value;
            }
            *copies += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Decimal128Type>().iter().flatten() {
            if let Some(copies) = self.copies.get_mut(&value) {
                // The last copy has left the window.
                *copies -= 1;
                if *copies == 0 {
                    self.copies.remove(&value);
                    self.sum -= value;
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // SQL's sum of no values is null, not 0.
        Ok(ScalarValue::Decimal128((!self.copies.is_empty()).then_some(self.sum), 38, 0))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.copies.capacity() * size_of::<(i128, usize)>()
    }

    // One task evaluates all rows of a window, so states are never merged.
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(DataFusionError::NotImplemented("a window's sum has no partial state".into()))
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(DataFusionError::NotImplemented("a window's sum has no partial state".into()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::Schema;
    use datafusion::functions_aggregate::sum::sum_udaf;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    const GROUPS: usize = 3;

    fn accumulator() -> Box<dyn GroupsAccumulator> {
        let field = Arc::new(Field::new("n", DataType::Int64, true));
        let args = AccumulatorArgs {
            return_field: Arc::clone(&field),
            schema: &Schema::empty(),
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "sum",
            is_distinct: false,
            exprs: &[],
            expr_fields: &[field],
        };
        Exact { kind: Kind::Sum, original: sum_udaf() }.create_groups_accumulator(args).unwrap()
    }

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MAX), Just(i64::MIN), -5_i64..5, any::<i64>()]
    }

    proptest! {
        /// For any order of the rows and any distribution over tasks, the result is the exact sum
        /// of each group, or an error if a sum does not fit.
        #[test]
        fn a_sum_does_not_depend_on_how_rows_are_spread(
            tasks in vec(vec((option::of(number()), 0..GROUPS), 0..8), 1..4)
        ) {
            let mut total = accumulator();
            let mut expected = [None::<i128>; GROUPS];
            for rows in &tasks {
                let mut part = accumulator();
                // An accumulator knows a group only once it has received a row of it.
                let first = (0..GROUPS).map(|group| (None, group));
                let (values, groups): (Vec<_>, Vec<_>) = first.chain(rows.iter().copied()).unzip();
                let values: ArrayRef = Arc::new(Int64Array::from(values));
                part.update_batch(&[values], &groups, None, GROUPS).unwrap();
                total.merge_batch(&part.state(EmitTo::All).unwrap(), &[0, 1, 2], GROUPS).unwrap();
                for (value, group) in rows {
                    if let Some(value) = value {
                        *expected[*group].get_or_insert(0) += i128::from(*value);
                    }
                }
            }
            let fits = expected.iter().flatten().all(|sum| i64::try_from(*sum).is_ok());
            match total.evaluate(EmitTo::All) {
                Ok(sums) => {
                    prop_assert!(fits);
                    let sums: Vec<_> = sums.as_primitive::<Int64Type>().iter().map(|sum| sum.map(i128::from)).collect();
                    prop_assert_eq!(sums, expected);
                }
                Err(error) => {
                    prop_assert!(!fits);
                    prop_assert!(error.to_string().contains("overflow in sum"), "{}", error);
                }
            }
        }
    }
}
