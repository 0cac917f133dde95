//! What requests to S3 cost, with the arithmetic shown.

use std::fmt::Write as _;

use lakewright_common::config::resolved::Prices;
use lakewright_common::storage::s3::requests::{RequestClass, RequestCounts};

use crate::output::bytes;

/// Requests by the classes in which S3 sells them, and the bytes read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RequestEstimate {
    /// GET and HEAD.
    pub(crate) gets: u64,
    /// PUT, POST and LIST.
    pub(crate) puts: u64,
    pub(crate) bytes_read: u64,
}

impl RequestEstimate {
    /// What was made; deletions are free.
    pub(crate) fn of(counts: &RequestCounts) -> Self {
        Self {
            gets: counts.of(&[RequestClass::Get, RequestClass::Head]),
            puts: counts.of(&[RequestClass::Put, RequestClass::Post, RequestClass::List]),
            bytes_read: counts.bytes_read,
        }
    }

    pub(crate) fn dollars(self, prices: &Prices) -> f64 {
        thousands(self.gets) * prices.get
            + thousands(self.puts) * prices.put
            + thousands(self.bytes_read) / 1e6 * prices.transfer
    }
}

/// A line for each class, expected and, where the run is over, made.
pub(crate) fn table(expected: RequestEstimate, made: Option<RequestEstimate>, prices: &Prices) -> String {
    let mut text = format!("{:<22} {:>12} {:>12} {}\n", "S3 requests", "expected", made_head(made), "dollars");
    let mut line = |name: &str, take: fn(RequestEstimate) -> u64, price: f64| {
        let made = made.map(|made| take(made).to_string()).unwrap_or_default();
        let last = made.parse().unwrap_or(take(expected));
        let _ = writeln!(
            text,
            "{name:<22} {:>12} {made:>12} x {price} / 1000 = {:.6}",
            take(expected),
            thousands(last) * price
        );
    };
    line("GET, HEAD", |requests| requests.gets, prices.get);
    line("PUT, LIST", |requests| requests.puts, prices.put);
    if prices.transfer > 0.0 {
        let read = made.unwrap_or(expected).bytes_read;
        let price = format!("x {} / GB = {:.6}", prices.transfer, thousands(read) / 1e6 * prices.transfer);
        let _ = writeln!(text, "{:<22} {:>12} {:>12} {price}", "read", "", bytes(read));
    }
    let sum = |requests: RequestEstimate| format!("{:.6}", requests.dollars(prices));
    let made_sum = made.map(sum).unwrap_or_default();
    let _ = writeln!(text, "{:<22} {:>12} {made_sum:>12}", "dollars", sum(expected));
    text
}

fn made_head(made: Option<RequestEstimate>) -> &'static str {
    if made.is_some() { "made" } else { "" }
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
        let made = RequestEstimate::of(&RequestCounts { requests, bytes_read: 2_000_000_000, bytes_written: 1 });
        assert_eq!(made, RequestEstimate { gets: 10_000, puts: 1_000, bytes_read: 2_000_000_000 });
        let prices = Prices { get: 0.0004, put: 0.005, transfer: 0.02 };
        assert!((made.dollars(&prices) - (0.004 + 0.005 + 0.04)).abs() < 1e-9);
        let text = table(RequestEstimate { gets: 11_000, ..made }, Some(made), &prices);
        assert_eq!(
            text,
            "S3 requests                expected         made dollars\n\
             GET, HEAD                     11000        10000 x 0.0004 / 1000 = 0.004000\n\
             PUT, LIST                      1000         1000 x 0.005 / 1000 = 0.005000\n\
             read                                     2.00 GB x 0.02 / GB = 0.040000\n\
             dollars                    0.049400     0.049000\n"
        );
    }
}
