//! Describes the input of a task for error messages.

use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use lakewright_common::exchange::read_node::ExchangeReadExec;
use lakewright_common::printable;
use lakewright_common::read::scan_node::JsonScanExec;

/// Maximum number of objects that an error names. The others are only counted.
const NAMED_OBJECTS: usize = 3;

/// Returns a text that names the objects that a plan reads, such as "`a`, `b`, `c` and 2 more". The
/// text is empty if there are none.
pub(super) fn describe(plan: &Arc<dyn ExecutionPlan>) -> String {
    let mut keys = Vec::new();
    collect_keys(plan, &mut keys);
    // Neighboring chunks are often ranges of the same spool object.
    keys.dedup();
    let named: Vec<String> = keys.iter().take(NAMED_OBJECTS).map(|key| format!("`{}`", printable::line(key))).collect();
    match keys.len().saturating_sub(NAMED_OBJECTS) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn collect_keys(plan: &Arc<dyn ExecutionPlan>, keys: &mut Vec<String>) {
    if let Some(scan) = plan.downcast_ref::<JsonScanExec>() {
        keys.extend(scan.partitions().iter().flat_map(|splits| splits.iter()).map(|split| split.object.key.clone()));
    } else if let Some(read) = plan.downcast_ref::<ExchangeReadExec>() {
        keys.extend(read.partitions().iter().flat_map(|chunks| chunks.iter()).map(|chunk| chunk.key.clone()));
    } else if let Some(scan) =
        plan.downcast_ref::<DataSourceExec>().and_then(|leaf| leaf.data_source().downcast_ref::<FileScanConfig>())
    {
        let files = scan.file_groups.iter().flat_map(|group| group.iter());
        keys.extend(files.map(|file| file.object_meta.location.to_string()));
    }
    for child in plan.children() {
        collect_keys(child, keys);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::union::UnionExec;
    use lakewright_common::report::spool_object::Chunk;

    use super::*;

    fn read(keys: &[&str]) -> Arc<dyn ExecutionPlan> {
        let chunks = keys.iter().map(|key| Chunk { key: (*key).to_owned(), range: 0..1 }).collect();
        Arc::new(ExchangeReadExec::plain(Arc::new(Schema::empty()), None, vec![chunks]))
    }

    #[test]
    fn objects_of_all_leaves_are_named_up_to_a_few() {
        assert_eq!(describe(&read(&[])), "");
        assert_eq!(describe(&read(&["a", "a"])), "`a`");
        let both = UnionExec::try_new(vec![read(&["a", "b"]), read(&["c", "d", "e"])]).unwrap();
        assert_eq!(describe(&both), "`a`, `b`, `c` and 2 more");
    }
}
