//! Makes a few small changes to an input. They are of kinds that parsers often handle wrongly.

/// Maximum number of changes to one input. Most inputs get one or two.
const MOST_CHANGES: u64 = 6;
/// Bytes with a meaning in JSON, TOML, protobuf and compressed streams.
const BYTES: &[u8] = b"\0\x01\x7f\x80\xff\n\r\t \"\\{}[]:,.-+eE019atfn#='/\x08\x0a\x12\x1a\xc0\xed";
/// Numbers at the limits of their types.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1e400",
    "0.1",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "4294967295",
    "4294967296",
    "1e-400",
    "\u{661}",
];

/// Creates inputs by changing inputs of a pool. Equal seeds give equal inputs.
pub(crate) struct Mutator<'a> {
    state: u64,
    words: &'a [&'a str],
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(seed: u64, words: &'a [&'a str]) -> Self {
        Self { state: seed, words }
    }

    /// Returns the next random number, by SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        // The bias of the modulo does not matter here.
        usize::try_from(self.random() % (bound.max(1) as u64)).unwrap_or(0)
    }

    pub(crate) fn next(&mut self, pool: &[Vec<u8>], max_bytes: usize) -> Vec<u8> {
        let mut input = self.choose(pool);
        let changes = 1 + self.random() % MOST_CHANGES.min(1 + self.random() % MOST_CHANGES);
        for _ in 0..changes {
            self.change(&mut input, pool);
        }
        input.truncate(max_bytes);
        input
    }

    fn choose(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        // In half of the cases, choose one of the newest inputs, because they had new outcomes.
        let recent = pool.len().min(16);
        let at =
            if self.random().is_multiple_of(2) { self.below(pool.len()) } else { pool.len() - 1 - self.below(recent) };
        pool.get(at).cloned().unwrap_or_default()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let most = if self.random().is_multiple_of(4) { length - from } else { (length - from).min(16) };
        from..from + self.below(most + 1)
    }

    fn change(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(12) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = BYTES[self.below(BYTES.len())],
            2 if at < input.len() => input[at] = input[at].wrapping_add(if self.below(2) == 0 { 1 } else { 255 }),
            3 => input.insert(at, BYTES[self.below(BYTES.len())]),
            4 => {
                let range = self.range(input.len());
                input.drain(range);
            }
            5 => {
                let copy = input[self.range(input.len())].to_vec();
                input.splice(at..at, copy);
            }
            6 => {
                // Repeat a part many times, for deep nesting and long inputs.
                let copy = input[self.range(input.len())].to_vec();
                let times = 1 << self.below(8);
                input.splice(at..at, copy.repeat(times));
            }
            7 | 8 if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())].bytes();
                let over = if self.below(2) == 0 { at..at } else { at..(at + word.len()).min(input.len()) };
                input.splice(over, word);
            }
            9 => self.replace_number(input, at),
            10 => {
                let other = self.choose(pool);
                let part = other[self.range(other.len())].to_vec();
                let over = self.range(input.len());
                input.splice(over, part);
            }
            _ => input.truncate(at.max(1)),
        }
    }

    /// Replaces the first number at or after the byte offset `at`.
    fn replace_number(&mut self, input: &mut Vec<u8>, at: usize) {
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let Some(start) = input[at..].iter().position(is_digit).map(|offset| at + offset) else { return };
        let end =
            input[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |length| start + length);
        input.splice(start..end, NUMBERS[self.below(NUMBERS.len())].bytes());
    }
}
