//! A `concat` that formats integers without an intermediate array.
//!
//! DataFusion 55 casts every argument to text, which creates an array per argument and batch. Here,
//! integers keep their type until the function appends their digits to the result. Calls without
//! integers use DataFusion's own function.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;

/// Replaces the session's `concat`.
pub(super) fn register(session: &SessionContext) -> Result<()> {
    let original = session.udf("concat")?;
    session.register_udf(ScalarUDF::new_from_impl(Concat { original }));
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    original: Arc<ScalarUDF>,
}

/// Whether every value of a type fits in an `Int64`.
fn fits_long(data_type: &DataType) -> bool {
    data_type.is_signed_integer() || matches!(data_type, DataType::UInt8 | DataType::UInt16 | DataType::UInt32)
}

/// Whether this function handles a call itself, instead of DataFusion's function. It does so if at
/// least one argument is an integer that fits in an `Int64`, and DataFusion would cast all
/// arguments to `Utf8`.
fn is_ours(types: &[DataType], coerced: &[DataType]) -> bool {
    types.iter().any(fits_long) && coerced.iter().all(|data_type| data_type == &DataType::Utf8)
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        self.original.name()
    }

    fn aliases(&self) -> &[String] {
        self.original.aliases()
    }

    fn signature(&self) -> &Signature {
        self.original.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = self.original.coerce_types(types)?;
        if !is_ours(types, &coerced) {
            return Ok(coerced);
        }
        let long_or = |(from, to): (&DataType, DataType)| if fits_long(from) { DataType::Int64 } else { to };
        Ok(types.iter().zip(coerced).map(long_or).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        // `coerce_types` made every integer an `Int64`, so only calls with integers have this type.
        if types.contains(&DataType::Int64) {
            return Ok(DataType::Utf8);
        }
        self.original.return_type(types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // DataFusion's simplification works only if every literal is a text.
        for arg in &args {
            if info.get_data_type(arg)? == DataType::Int64 {
                return Ok(ExprSimplifyResult::Original(args));
            }
        }
        self.original.simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.iter().all(|arg| arg.data_type() != DataType::Int64) {
            return self.original.invoke_with_args(args);
        }
        // A call with only constants returns a constant, so that the optimizer can replace it.
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let parts = args.args.iter().map(PartOf::new).collect::<Result<Vec<_>>>()?;
        let texts = concat(&parts, rows)?;
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(texts))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.original.documentation()
    }
}

/// One argument of the call.
enum PartOf {
    /// A text that is the same in each row.
    Constant(String),
    Texts(ArrayRef),
    Integers(ArrayRef),
}

impl PartOf {
    fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            // A null contributes nothing, as in PostgreSQL.
            ColumnarValue::Scalar(value) if value.is_null() => Self::Constant(String::new()),
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) => Self::Constant(text.clone()),
            ColumnarValue::Scalar(ScalarValue::Int64(Some(integer))) => Self::Constant(integer.to_string()),
            ColumnarValue::Array(array) if array.data_type() == &DataType::Int64 => Self::Integers(Arc::clone(array)),
            ColumnarValue::Array(array) if array.data_type() == &DataType::Utf8 => Self::Texts(Arc::clone(array)),
            other => return exec_err!("concat does not support values of type {}", other.data_type()),
        })
    }

    /// Returns the approximate number of bytes that the argument contributes to the result.
    fn bytes(&self, rows: usize) -> usize {
        // The number is only used as a capacity, so estimate the digits of integers.
        match self {
            Self::Constant(text) => rows * text.len(),
            Self::Texts(texts) => {
                let offsets = texts.as_string::<i32>().value_offsets();
                offsets.last().zip(offsets.first()).map_or(0, |(end, start)| usize::try_from(end - start).unwrap_or(0))
            }
            Self::Integers(_) => rows * 8,
        }
    }
}

/// Concatenates the parts of each row.
///
/// # Errors
/// An execution error, if the result has more than 2 GiB.
fn concat(parts: &[PartOf], rows: usize) -> Result<StringArray> {
    let bytes: usize = parts.iter().map(|part| part.bytes(rows)).sum();
    let mut texts = StringBuilder::with_capacity(rows, bytes);
    // The builder panics when its offsets overflow. No integer has more than 20 characters.
    let integers = parts.iter().filter(|part| matches!(part, PartOf::Integers(_))).count();
    if i32::try_from(bytes + integers * 20 * rows).is_err() {
        return exec_err!("concat makes more than 2 GiB of text from one batch");
    }
    for row in 0..rows {
        for part in parts {
            match part {
                PartOf::Constant(text) => texts.write_str(text),
                PartOf::Texts(array) if array.is_valid(row) => texts.write_str(array.as_string::<i32>().value(row)),
                PartOf::Integers(array) if array.is_valid(row) => {
                    let mut digits = itoa::Buffer::new();
                    texts.write_str(digits.format(array.as_primitive::<Int64Type>().value(row)))
                }
                PartOf::Texts(_) | PartOf::Integers(_) => Ok(()),
            }
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        }
        // The text of the row was written above; this call only ends the row.
        texts.append_value("");
    }
    Ok(texts.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
