//! Compares `max` and `min` of texts with DataFusion's for any sequence of calls.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use arrow::array::StringArray;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};

use super::*;

const GROUPS: usize = 6;

/// A call of an accumulator.
#[derive(Debug, Clone)]
enum Step {
    /// Rows of a text and a group. If there is a filter, also whether it selects each row.
    Update(Vec<(Option<String>, usize)>, Option<Vec<Option<bool>>>),
    /// The state of another accumulator with these rows.
    Merge(Vec<(Option<String>, usize)>),
    EmitFirst(usize),
}

fn text() -> impl Strategy<Value = Option<String>> {
    // Prefixes of each other, other lengths, characters of several bytes, and texts long enough for
    // compactions.
    option::weighted(0.8, prop_oneof!["[ab]{0,4}", "[aé\u{1F600}]{0,3}", "[a-z]{20,200}"])
}

/// Rows in any order, or in the order of their groups.
fn rows() -> impl Strategy<Value = Vec<(Option<String>, usize)>> {
    (vec((text(), 0..GROUPS), 0..12), any::<bool>()).prop_map(|(mut rows, is_sorted)| {
        if is_sorted {
            rows.sort_by_key(|(_, group)| *group);
        }
        rows
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (rows(), option::of(vec(option::of(any::<bool>()), 12))).prop_map(|(rows, filter)| Step::Update(rows, filter)),
        2 => rows().prop_map(Step::Merge),
        1 => (1..GROUPS).prop_map(Step::EmitFirst),
    ]
}

fn accumulators(kind: Kind) -> (Box<dyn GroupsAccumulator>, Box<dyn GroupsAccumulator>) {
    let field = Arc::new(arrow::datatypes::Field::new("text", DataType::Utf8, true));
    let schema = arrow::datatypes::Schema::empty();
    let args = || AccumulatorArgs {
        return_field: Arc::clone(&field),
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: "extreme",
        is_distinct: false,
        exprs: &[],
        expr_fields: std::slice::from_ref(&field),
    };
    let original = if kind == Kind::Max { max_udaf() } else { min_udaf() };
    let theirs = original.create_groups_accumulator(args()).unwrap();
    (theirs, TextExtreme { kind, original }.create_groups_accumulator(args()).unwrap())
}

fn unzip(rows: &[(Option<String>, usize)]) -> (Vec<ArrayRef>, Vec<usize>) {
    let (texts, groups): (Vec<Option<String>>, Vec<usize>) = rows.iter().cloned().unzip();
    (vec![Arc::new(StringArray::from(texts))], groups)
}

proptest! {
    #[test]
    fn any_sequence_of_calls_returns_what_datafusion_returns(
        is_max in any::<bool>(), steps in vec(step(), 1..20)
    ) {
        let kind = if is_max { Kind::Max } else { Kind::Min };
        let (mut theirs, mut ours) = accumulators(kind);
        for step in steps {
            match step {
                Step::Update(rows, filter) => {
                    let (values, groups) = unzip(&rows);
                    let filter = filter.map(|filter| filter.into_iter().take(rows.len()).collect::<BooleanArray>());
                    theirs.update_batch(&values, &groups, filter.as_ref(), GROUPS).unwrap();
                    ours.update_batch(&values, &groups, filter.as_ref(), GROUPS).unwrap();
                    prop_assert_eq!(
                        theirs.convert_to_state(&values, filter.as_ref()).unwrap(),
                        ours.convert_to_state(&values, filter.as_ref()).unwrap()
                    );
                }
                Step::Merge(rows) => {
                    let (values, groups) = unzip(&rows);
                    theirs.merge_batch(&values, &groups, GROUPS).unwrap();
                    ours.merge_batch(&values, &groups, GROUPS).unwrap();
                }
                Step::EmitFirst(groups) => {
                    // After these calls, both accumulators have all groups.
                    let (none, no_groups) = unzip(&[]);
                    theirs.update_batch(&none, &no_groups, None, GROUPS).unwrap();
                    ours.update_batch(&none, &no_groups, None, GROUPS).unwrap();
                    let emit = EmitTo::First(groups);
                    let (theirs, ours) = (theirs.evaluate(emit).unwrap(), ours.evaluate(emit).unwrap());
                    prop_assert_eq!(theirs.as_ref(), ours.as_ref());
                }
            }
        }
        let (theirs, ours) = (theirs.state(EmitTo::All).unwrap(), ours.state(EmitTo::All).unwrap());
        prop_assert_eq!(theirs[0].as_ref(), ours[0].as_ref());
    }
}

#[test]
fn memory_follows_the_texts_that_are_kept() {
    let (_, mut ours) = accumulators(Kind::Max);
    for length in 1..2_000 {
        let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(length)]));
        ours.update_batch(&[values], &[0], None, 1).unwrap();
    }
    assert!(ours.size() < 10_000, "{}", ours.size());
}
