//! `[prices]`: what requests to S3 cost, in dollars.

use super::fault::Faults;
use super::file::Node;
use super::resolved::Prices;
use super::section::Section;
use super::settings::PRICES;

/// Resolves the section; without one, what S3 Standard costs in `us-east-1`.
pub(super) fn resolve(node: Option<&Node>, faults: &mut Faults) -> Prices {
    let defaults = Prices::default();
    let Some(section) = node.and_then(|node| Section::open("`[prices]`: ", node, PRICES, faults)) else {
        return defaults;
    };
    let mut price = |key: &str, default: f64| {
        let price = section.number(key, faults).unwrap_or(default);
        if let Some(node) = section.node(key).filter(|_| price < 0.0 || price.is_infinite()) {
            section.report(&node.origin, &format!("`{key}` must be at least 0"), faults);
        }
        price
    };
    Prices {
        get: price("get", defaults.get),
        put: price("put", defaults.put),
        transfer: price("transfer", defaults.transfer),
    }
}
