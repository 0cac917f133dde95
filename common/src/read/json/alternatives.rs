//! ③ Fields with several keys (`aliases`): each key has a column of its own, and the first value that
//! is not null is the value of the field.

use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use arrow::compute::is_not_null;
use arrow::compute::kernels::zip::zip;
use arrow::error::ArrowError;

use crate::config::resolved::Field;

/// The columns of a field that has aliases.
#[derive(Debug)]
pub(in crate::read) struct Alternatives {
    /// Column of the field's own key.
    pub(in crate::read) field: usize,
    /// Columns of its aliases, in their order.
    pub(in crate::read) aliases: Range<usize>,
}

impl Alternatives {
    /// Returns the fields that have aliases. The columns of aliases follow those of all fields.
    pub(in crate::read) fn of(fields: &[Field]) -> Vec<Self> {
        let mut end = fields.len();
        let mut found = Vec::new();
        for (field, aliases) in fields.iter().map(|field| field.aliases.len()).enumerate() {
            let start = end;
            end += aliases;
            if aliases > 0 {
                found.push(Self { field, aliases: start..end });
            }
        }
        found
    }

    /// Replaces each null of the field by the first value of an alias that is not null.
    pub(in crate::read) fn merge(&self, arrays: &mut [ArrayRef]) -> Result<(), ArrowError> {
        for alias in self.aliases.clone() {
            let merged = &arrays[self.field];
            if merged.null_count() > 0 && arrays[alias].null_count() < arrays[alias].len() {
                arrays[self.field] = zip(&is_not_null(merged)?, merged, &arrays[alias])?;
            }
        }
        Ok(())
    }
}
