//! `[prices]`: what requests to S3 cost, in dollars.

use super::diagnostics::Diagnostics;
use super::file::Item;
use super::resolved::Prices;
use super::section::Section;
use super::settings::PRICES;

/// Resolves `[prices]`; without this section, returns the prices of S3 Standard in `us-east-1`.
pub(super) fn resolve(item: Option<&Item>, diagnostics: &mut Diagnostics) -> Prices {
    let defaults = Prices::default();
    let Some(section) = item.and_then(|item| Section::open("`[prices]`: ", item, PRICES, diagnostics)) else {
        return defaults;
    };
    let mut price = |key: &str, default: f64| {
        let price = section.number(key, diagnostics).unwrap_or(default);
        // NaN was reported by `number`.
        if let Some(item) = section.get(key).filter(|_| price < 0.0 || price.is_infinite()) {
            section.report(&item.origin, &format!("`{key}` must be at least 0"), diagnostics);
        }
        price
    };
    Prices {
        get: price("get", defaults.get),
        put: price("put", defaults.put),
        transfer: price("transfer", defaults.transfer),
    }
}
