//! Price of requests to S3. The text form shows how the price is computed.

use std::fmt::Write as _;

use lakewright_common::config::resolved::Prices;
use lakewright_common::storage::s3::requests::{RequestClass, RequestCounts};
use serde::Serialize;

use crate::output::bytes;

/// Number of requests in each class that S3 bills, and number of bytes read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct BilledRequests {
    /// Number of GET and HEAD requests.
    pub(crate) gets: u64,
    /// Number of PUT, POST and LIST requests.
    pub(crate) puts: u64,
    pub(crate) bytes_read: u64,
}

/// A new partitioned table, for which the estimate has to assume a number of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AssumedFiles {
    pub(crate) table: String,
    /// Number of files that the estimate assumes.
    pub(crate) files: u64,
    /// Number of GET and HEAD requests that each file beyond `files` adds to the run.
    pub(crate) gets_per_file: u64,
    /// Number of PUT requests that each file beyond `files` adds to the run.
    pub(crate) puts_per_file: u64,
}

/// Requests that a run is expected to make, and the assumptions of the estimate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RequestEstimate {
    pub(crate) requests: BilledRequests,
    /// Whether workers will also make requests for exchanges, which `requests` does not count.
    pub(crate) excludes_exchanges: bool,
    /// New partitioned tables. The number of files of each is an assumption, because it is unknown
    /// before the first build.
    pub(crate) assumed: Vec<AssumedFiles>,
}

/// Expected requests of a run, and those that it made, with their prices in dollars.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    expected: RequestEstimate,
    expected_dollars: f64,
    /// Requests that the run made; `None` before the run.
    made: Option<BilledRequests>,
    made_dollars: Option<f64>,
    #[serde(skip)]
    prices: Prices,
}

impl BilledRequests {
    /// Sums up the requests that were made. Deletions are free and not counted.
    pub(crate) fn of(counts: &RequestCounts) -> Self {
        Self {
            gets: counts.of(&[RequestClass::Get, RequestClass::Head]),
            puts: counts.of(&[RequestClass::Put, RequestClass::Post, RequestClass::List]),
            bytes_read: counts.bytes_read,
        }
    }

    /// Returns the price in dollars.
    pub(crate) fn dollars(self, prices: &Prices) -> f64 {
        thousands(self.gets) * prices.get
            + thousands(self.puts) * prices.put
            // `thousands(bytes) / 1e6` is the size in GB.
            + thousands(self.bytes_read) / 1e6 * prices.transfer
    }
}

impl Cost {
    pub(crate) fn new(expected: RequestEstimate, made: Option<BilledRequests>, prices: &Prices) -> Self {
        Self {
            expected_dollars: expected.requests.dollars(prices),
            expected,
            made_dollars: made.map(|made| made.dollars(prices)),
            made,
            prices: *prices,
        }
    }

    /// Returns the cost as lines of text: one for each class of requests, then one for each
    /// assumption.
    pub(crate) fn text(&self) -> String {
        let (expected, made, prices) = (self.expected.requests, self.made, &self.prices);
        let made_head = if made.is_some() { "made" } else { "" };
        let mut text = format!("{:<22} {:>12} {made_head:>12} dollars\n", "S3 requests", "expected");
        let mut line = |name: &str, take: fn(BilledRequests) -> u64, price: f64| {
            let shown = made.map(|made| take(made).to_string()).unwrap_or_default();
            // Price of the requests that the run made. Before the run, price of the expected
            // requests.
            let dollars = thousands(take(made.unwrap_or(expected))) * price;
            let _ = writeln!(text, "{name:<22} {:>12} {shown:>12} x {price} / 1000 = {dollars:.6}", take(expected));
        };
        line("GET, HEAD", |requests| requests.gets, prices.get);
        line("PUT, LIST", |requests| requests.puts, prices.put);
        // Transfer is free within a region, so the line appears only with a configured price.
        if prices.transfer > 0.0 {
            let read = made.unwrap_or(expected).bytes_read;
            let price = format!("x {} / GB = {:.6}", prices.transfer, thousands(read) / 1e6 * prices.transfer);
            let _ = writeln!(text, "{:<22} {:>12} {:>12} {price}", "read", "", bytes(read));
        }
        let made_dollars = self.made_dollars.map(|dollars| format!("{dollars:.6}")).unwrap_or_default();
        let _ = writeln!(text, "{:<22} {:>12.6} {made_dollars:>12}", "dollars", self.expected_dollars);
        if self.expected.excludes_exchanges {
            text.push_str("expected without the objects that workers write for each other\n");
        }
        for AssumedFiles { table, files, gets_per_file, puts_per_file } in &self.expected.assumed {
            let _ = writeln!(
                text,
                "assumes {files} files for the new table `{table}`; each further file adds {gets_per_file} GET and \
                 {puts_per_file} PUT"
            );
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "an amount of money needs no more than 52 bits")]
fn thousands(count: u64) -> f64 {
    count as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_cost_what_their_class_costs() {
        let requests = [
            ("GET 206", 9_000),
            ("GET 503", 500),
            ("HEAD 200", 500),
            ("LIST 200", 400),
            ("PUT 200", 600),
            ("DELETE 204", 7),
        ];
        let requests = requests.map(|(answered, count)| (answered.parse().unwrap(), count)).into();
        let made = BilledRequests::of(&RequestCounts { requests, bytes_read: 2_000_000_000, bytes_written: 1 });
        assert_eq!(made, BilledRequests { gets: 10_000, puts: 1_000, bytes_read: 2_000_000_000 });
        let prices = Prices { get: 0.0004, put: 0.005, transfer: 0.02 };
        assert!((made.dollars(&prices) - (0.004 + 0.005 + 0.04)).abs() < 1e-9);
        let table = AssumedFiles { table: "songs".to_owned(), files: 12, gets_per_file: 4, puts_per_file: 1 };
        let expected = RequestEstimate {
            requests: BilledRequests { gets: 11_000, ..made },
            assumed: vec![table],
            ..Default::default()
        };
        assert_eq!(
            Cost::new(expected, Some(made), &prices).text(),
            "S3 requests                expected         made dollars\n\
             GET, HEAD                     11000        10000 x 0.0004 / 1000 = 0.004000\n\
             PUT, LIST                      1000         1000 x 0.005 / 1000 = 0.005000\n\
             read                                     2.00 GB x 0.02 / GB = 0.040000\n\
             dollars                    0.049400     0.049000\n\
             assumes 12 files for the new table `songs`; each further file adds 4 GET and 1 PUT\n"
        );
    }
}
