//! `to_timestamp` and its variants over columns.
//!
//! DataFusion 55 declares a result in the session's time zone, and returns one without a zone where it parses a column
//! of texts (apache/datafusion#24632), so that the query fails while rows pass. The values are right, so only the type
//! is corrected. A double of seconds beyond what nanoseconds can hold becomes the last moment of 2262; that is an error
//! here.

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
/// Seconds from 1970 that nanoseconds in 64 bits can hold, in both directions.
const MAX_SECONDS: f64 = 9_223_372_036.0;

/// Replaces the session's functions.
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
            scalar @ ColumnarValue::Scalar(_) => Ok(scalar),
        }
    }
}

/// The same moments under the declared type.
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
