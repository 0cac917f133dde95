//! Corrects `to_timestamp` and its variants for columns.
//!
//! DataFusion 55 declares that the result has the time zone of the session. But for a text column,
//! it returns timestamps without a zone (apache/datafusion#24632), so the query fails at runtime.
//! The values are right, so only the type is corrected. A double with too many seconds for a
//! timestamp in nanoseconds silently becomes the maximum timestamp, in the year 2262. Here, it is
//! an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::exec_err;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use datafusion::prelude::SessionContext;

const NAMES: [&str; 5] =
    ["to_timestamp", "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros", "to_timestamp_nanos"];
/// Maximum number of seconds before or after 1970 that fits in 64 bits when converted to
/// nanoseconds.
const MAX_SECONDS: f64 = 9_223_372_036.0;

/// Replaces `to_timestamp` and its variants in the session.
pub(super) fn register(session: &SessionContext) -> Result<()> {
    for name in NAMES {
        let original = session.udf(name)?;
        session.register_udf(ScalarUDF::new_from_impl(ToTimestamp { original }));
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    original: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        self.original.name()
    }

    fn signature(&self) -> &Signature {
        self.original.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.original.inner().return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        // Wrap the new function too, because a change of the session's time zone replaces the
        // function.
        let original = Arc::new(self.original.inner().with_updated_config(config)?);
        Some(ScalarUDF::new_from_impl(Self { original }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.name() == "to_timestamp"
            && let Some(seconds) = args.args.first()
        {
            check_seconds(seconds)?;
        }
        let declared = args.return_type().clone();
        match self.original.invoke_with_args(args)? {
            ColumnarValue::Array(moments) => Ok(ColumnarValue::Array(in_zone(moments, declared)?)),
            // A constant already has the declared type.
            scalar @ ColumnarValue::Scalar(_) => Ok(scalar),
        }
    }
}

/// Returns `moments` with the time zone of the declared type. The values stay the same.
fn in_zone(moments: ArrayRef, declared: DataType) -> Result<ArrayRef> {
    match (moments.data_type(), &declared) {
        (DataType::Timestamp(unit, None), DataType::Timestamp(wanted, Some(_))) if unit == wanted => {
            Ok(make_array(moments.to_data().into_builder().data_type(declared).build()?))
        }
        _ => Ok(moments),
    }
}

fn check_seconds(seconds: &ColumnarValue) -> Result<()> {
    let data_type = seconds.data_type();
    // Only for doubles and decimals, DataFusion returns the maximum timestamp instead of an error.
    if !data_type.is_floating() && !data_type.is_decimal() {
        return Ok(());
    }
    let doubles = cast(&seconds.to_array(1)?, &DataType::Float64)?;
    let is_in_range = |value: f64| value.abs() < MAX_SECONDS;
    match doubles.as_primitive::<Float64Type>().iter().flatten().find(|value| !is_in_range(*value)) {
        Some(value) => exec_err!(
            "to_timestamp: {value} seconds since 1970 are out of range; for milliseconds there is to_timestamp_millis"
        ),
        None => Ok(()),
    }
}
