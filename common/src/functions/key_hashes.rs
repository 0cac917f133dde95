//! Hashes of keys, and sets of hashes that a plan contains as a literal.
//!
//! `key_hash(value, …)` returns a 64-bit hash of its arguments; equal keys have equal hashes.
//! `in_hash_set(set, hash)` returns whether a hash is in a set.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::SessionContext;

/// Seed of the hashes. It differs from the seeds by which DataFusion distributes rows, so that the
/// hashes of one partition are not similar.
const SEED: u64 = 0x6C61_6B65;
/// Bytes of a slot of a set, which contains a hash in little-endian order.
const SLOT: usize = size_of::<u64>();
/// Content of an unused slot. The hash zero is replaced by [`ONE`].
const UNUSED: u64 = 0;
const ONE: u64 = 1;

pub(super) fn register(session: &SessionContext) {
    session.register_udf(key_hash());
    session.register_udf(in_hash_set());
}

/// Returns the function `key_hash(value, …)`. Its result is never null.
#[must_use]
pub fn key_hash() -> ScalarUDF {
    ScalarUDF::new_from_impl(KeyHash { signature: Signature::variadic_any(Volatility::Immutable) })
}

/// Returns the function `in_hash_set(set, hash)`. The set is a literal that [`hash_set`] made.
#[must_use]
pub fn in_hash_set() -> ScalarUDF {
    let types = TypeSignature::Exact(vec![DataType::Binary, DataType::UInt64]);
    ScalarUDF::new_from_impl(InHashSet { signature: Signature::new(types, Volatility::Immutable) })
}

/// Returns a set of hashes as a literal for a plan: a hash table with linear probing, at most half
/// full.
#[must_use]
pub fn hash_set(hashes: &[u64]) -> ScalarValue {
    let slots = (hashes.len() * 2).next_power_of_two();
    let mut table = vec![UNUSED; slots];
    for hash in hashes {
        let hash = (*hash).max(ONE);
        let mut at = first_slot(hash, slots);
        while table[at] != UNUSED && table[at] != hash {
            at = (at + 1) % slots;
        }
        table[at] = hash;
    }
    ScalarValue::Binary(Some(table.into_iter().flat_map(u64::to_le_bytes).collect()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyHash {
    signature: Signature,
}

impl ScalarUDFImpl for KeyHash {
    fn name(&self) -> &'static str {
        "key_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut hashes = vec![0; args.number_rows];
        let columns = args.args.into_iter().map(|value| value.into_array(args.number_rows));
        create_hashes(columns.collect::<Result<Vec<_>>>()?, &RandomState::with_seed(SEED), &mut hashes)?;
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(hashes))))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InHashSet {
    signature: Signature,
}

impl ScalarUDFImpl for InHashSet {
    fn name(&self) -> &'static str {
        "in_hash_set"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(ScalarValue::Binary(Some(set))), hashes] = args.args.as_slice() else {
            return internal_err!("in_hash_set takes a set and a hash");
        };
        let (slots, rest) = set.as_chunks::<SLOT>();
        if slots.is_empty() || !rest.is_empty() || slots.iter().all(|slot| u64::from_le_bytes(*slot) != UNUSED) {
            return internal_err!("in_hash_set takes a set that was made for it");
        }
        let hashes: ArrayRef = hashes.to_array(args.number_rows)?;
        let hashes = hashes.as_primitive::<UInt64Type>();
        let found = hashes.values().iter().map(|hash| contains(slots, (*hash).max(ONE))).collect();
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(found, hashes.nulls().cloned()))))
    }
}

/// Returns whether a set contains a hash. At least one slot is unused, so the search ends.
fn contains(slots: &[[u8; SLOT]], hash: u64) -> bool {
    let mut at = first_slot(hash, slots.len());
    loop {
        match u64::from_le_bytes(slots[at]) {
            UNUSED => return false,
            found if found == hash => return true,
            _ => at = (at + 1) % slots.len(),
        }
    }
}

fn first_slot(hash: u64, slots: usize) -> usize {
    usize::try_from(hash % slots as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn call(function: &ScalarUDF, args: Vec<ColumnarValue>, number_rows: usize) -> Result<ArrayRef> {
        let arg_fields = args.iter().map(|arg| Arc::new(Field::new("arg", arg.data_type(), true))).collect();
        let return_type = function.return_type(&args.iter().map(ColumnarValue::data_type).collect::<Vec<_>>())?;
        let return_field = Arc::new(Field::new("result", return_type, true));
        let config_options = Arc::new(ConfigOptions::default());
        let args = ScalarFunctionArgs { args, arg_fields, number_rows, return_field, config_options };
        function.invoke_with_args(args)?.into_array(number_rows)
    }

    proptest! {
        #[test]
        fn a_set_contains_its_hashes_and_no_others(
            hashes in btree_set(prop_oneof![0..40_u64, (0..40_u64).prop_map(|n| n << 58), any::<u64>()], 0..30),
            asked in vec(prop_oneof![2..40_u64, (1..40_u64).prop_map(|n| n << 58), any::<u64>()], 1..30),
        ) {
            let set = hash_set(&hashes.iter().copied().collect::<Vec<_>>());
            // The hashes 0 and 1 are the same for a set.
            let asked: Vec<u64> = asked.into_iter().chain(hashes.iter().copied()).collect();
            let values: ArrayRef = Arc::new(UInt64Array::from(asked.clone()));
            let args = vec![ColumnarValue::Scalar(set), ColumnarValue::Array(values)];
            let found = call(&in_hash_set(), args, asked.len()).unwrap();
            for (row, hash) in asked.iter().enumerate() {
                prop_assert_eq!(found.as_boolean().value(row), hashes.contains(hash), "{}", hash);
            }
        }
    }

    #[test]
    fn equal_keys_have_equal_hashes_in_any_batch() {
        let hash = |longs: Vec<Option<i64>>, texts: Vec<Option<&str>>| {
            let rows = longs.len();
            let columns: [ArrayRef; 2] = [Arc::new(Int64Array::from(longs)), Arc::new(StringArray::from(texts))];
            let hashes = call(&key_hash(), columns.map(ColumnarValue::Array).to_vec(), rows).unwrap();
            hashes.as_primitive::<UInt64Type>().values().to_vec()
        };
        let together = hash(vec![Some(1), None, Some(1), Some(2)], vec![Some("a"), None, None, Some("a")]);
        assert_eq!(together[0], hash(vec![Some(1)], vec![Some("a")])[0]);
        assert_eq!(together[1], hash(vec![None], vec![None])[0]);
        assert_eq!(together.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }

    #[test]
    fn a_set_without_an_unused_slot_is_refused() {
        for set in [vec![], vec![1; 8], vec![0; 9]] {
            let args = vec![
                ColumnarValue::Scalar(ScalarValue::Binary(Some(set))),
                ColumnarValue::Array(Arc::new(UInt64Array::from(vec![7]))),
            ];
            call(&in_hash_set(), args, 1).unwrap_err();
        }
    }
}
