//! The generator's only source of random numbers. The algorithm must not change, because a test
//! compares the generator's output with the committed sample data, byte for byte.
//!
//! The `rand` crates may change the results of their distributions between versions, and logarithms
//! and powers differ between machines. So this module implements its own algorithm with integers
//! only. It is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! 2014).

/// Difference between successive states: 2⁶⁴ divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Purpose of a sequence of random numbers. Different purposes have different sequences.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    Artist = 1,
    Song = 2,
    User = 3,
    Log = 4,
}

/// A sequence of random numbers.
pub(crate) struct Random(u64);

impl Random {
    /// Returns the sequence for one item of a purpose, such as artist 7. The sequence depends only
    /// on the arguments.
    pub(crate) fn keyed(seed: u64, subject: Subject, number: u64) -> Self {
        Self(mix(mix(mix(seed).wrapping_add(subject as u64)).wrapping_add(number)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Returns a random number from 0 to `end - 1`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // Take the high half of the product; its bias is at most `end` in 2⁶⁴.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Returns true with the given probability: never for 0.0, always for 1.0.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        const RESOLUTION: u64 = 1 << 53;
        (self.below(RESOLUTION) as f64) < share * RESOLUTION as f64
    }

    /// Returns one of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Returns `count` capital letters.
    pub(crate) fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'A' + self.below(26) as u8)).collect()
    }
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_share_of_nothing_never_happens_and_a_share_of_all_always() {
        let mut random = Random::keyed(1, Subject::Log, 0);
        assert!((0..10_000).all(|_| !random.chance(0.0) && random.chance(1.0)));
    }

    #[test]
    fn a_share_is_met() {
        let mut random = Random::keyed(7, Subject::Log, 0);
        let hits = (0..100_000).filter(|_| random.chance(0.2)).count();
        assert!((19_500..20_500).contains(&hits), "{hits}");
    }
}
