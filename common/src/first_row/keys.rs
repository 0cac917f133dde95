//! Columns by which rows are grouped and compared.

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Schema};

/// Columns of the input by which rows are grouped and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Indexes of the columns that identify a group.
    pub partition: Vec<usize>,
    /// Index of the column by which the rows of a group are compared.
    pub order: usize,
    pub options: SortOptions,
}

/// Whether these keys give the same groups and the same order in `FirstRowExec` as in a window of
/// DataFusion. Floating-point columns are excluded, because 0.0 and -0.0 are one group in some
/// operators of DataFusion and two groups in others. Nested columns are excluded too.
#[must_use]
pub fn can_group(keys: &Keys, schema: &Schema) -> bool {
    let is_simple = |i: &usize| {
        let data_type = schema.field(*i).data_type();
        data_type.is_integer()
            || data_type.is_temporal() && !matches!(data_type, DataType::Interval(_))
            || matches!(data_type, DataType::Utf8 | DataType::Boolean | DataType::Decimal128(_, _) | DataType::Binary)
    };
    keys.partition.iter().chain([&keys.order]).all(is_simple)
}
