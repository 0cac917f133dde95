//! Unreadable lines, as caused by broken uploads, other encodings and careless producers.

use crate::random::Random;

/// Makes a line of the log unreadable. The result is still one line.
pub(crate) fn spoil(mut line: Vec<u8>, random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        // Cut the line anywhere. Without its closing brace, the JSON object is incomplete.
        0 => {
            let keep = 1 + random.below(line.len() as u64 - 1);
            line.truncate(keep as usize);
        }
        // Put a byte of Latin-1, which is not UTF-8, into the first text.
        1 => {
            let quote = line.iter().position(|byte| *byte == b'"').unwrap_or(0);
            line.insert(quote + 1, 0xE9);
        }
        // Valid JSON, but with a value of the wrong type.
        2 => {
            let text = String::from_utf8_lossy(&line).replacen("\"ts\":", "\"ts\":\"about \",\"was\":", 1);
            line = text.into_bytes();
        }
        _ => line = b"-- log rotated --".to_vec(),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Subject;

    #[test]
    fn a_spoilt_line_is_no_event_and_stays_one_line() {
        let line = br#"{"artist":null,"length":1.5,"ts":1541105830796,"userId":"39"}"#;
        for number in 0..1000 {
            let spoilt = spoil(line.to_vec(), &mut Random::keyed(1, Subject::Log, number));
            let parsed = serde_json::from_slice::<serde_json::Value>(&spoilt);
            assert!(parsed.is_err() || parsed.is_ok_and(|event| !event["ts"].is_i64()));
            assert!(!spoilt.is_empty() && !spoilt.contains(&b'\n'));
        }
    }
}
