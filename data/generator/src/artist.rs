//! Artists: a name, an id and sometimes a place. Song files may disagree about the name or the
//! place of an artist.

use crate::random::{Random, Subject};
use crate::words::words;

/// Places of artists: name, latitude and longitude. The coordinates are in hundred-thousandths of a
/// degree.
const TOWNS: &[(&str, i64, i64)] = &[
    ("California - LA", 3_405_349, -11_824_532),
    ("Nashville, TN.", 3_616_778, -8_677_836),
    ("London, England", 5_150_632, -12_714),
    ("Göteborg, Sweden", 5_770_133, 1_196_689),
    ("Hamilton, Ohio", 3_939_954, -8_456_133),
    ("São Paulo", -2_356_287, -4_665_466),
    ("New York, NY [Bronx]", 4_085_251, -7_386_647),
    ("Noci (BA)", 4_079_407, 1_712_563),
    ("Fort Worth/Dallas, TX", 3_274_863, -9_732_925),
    ("Zagreb Croatia", 4_580_726, 1_596_757),
];

/// Patterns of artists' names. Each `{}` is replaced by a few words.
const BANDS: &[&str] = &["{}", "The {}", "{} & Friends", "{} / Brothers", "DJ {}", "Los {}", "Die {}", "{} Orchestra"];

/// An artist, as described in one song file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Artist {
    pub(crate) artist_id: String,
    pub(crate) name: String,
    /// Place as text; empty if unknown.
    pub(crate) location: String,
    /// Latitude and longitude in degrees; `None` if unknown.
    pub(crate) coordinates: Option<(f64, f64)>,
}

impl Artist {
    /// Returns the artist with this number, as described by the artist's first song. Number 0 is
    /// Elena.
    pub(crate) fn at(seed: u64, number: u64) -> Self {
        let mut random = Random::keyed(seed, Subject::Artist, number);
        // Multiplying by an odd number modulo 2²⁸ gives different ids for different numbers below
        // 2²⁸.
        let artist_id = format!("AR{}1187{:07X}", random.letters(5), number.wrapping_mul(0x9E3_779B) & 0xFFF_FFFF);
        if number == 0 {
            let location = "Dubai UAE".to_owned();
            return Self { artist_id, name: "Elena".to_owned(), location, coordinates: Some((49.80388, 15.47491)) };
        }
        let name = random.pick(BANDS).replace("{}", &words(&mut random));
        let (town, latitude, longitude) = random.pick(TOWNS);
        // Of 100 real songs, 44 have coordinates, and some others have only the name of a place.
        let (location, coordinates) = match random.below(100) {
            0..44 => (town, Some((degrees(latitude), degrees(longitude)))),
            44..66 => (town, None),
            _ => ("", None),
        };
        Self { artist_id, name, location: location.to_owned(), coordinates }
    }

    /// Changes the artist's name or place, as in a song file that disagrees with the artist's first
    /// song.
    pub(crate) fn described_differently(mut self, random: &mut Random) -> Self {
        match random.below(3) {
            0 if !self.location.is_empty() => {
                self.location.clear();
                self.coordinates = None;
            }
            1 => {
                let others: Vec<_> = TOWNS.iter().filter(|town| town.0 != self.location).copied().collect();
                self.location = random.pick(&others).0.to_owned();
            }
            _ => self.name = format!("{} feat. {}", self.name, words(random)),
        }
        self
    }
}

fn degrees(hundred_thousandths: i64) -> f64 {
    hundred_thousandths as f64 / 100_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artist_described_differently_differs_in_one_respect_at_least_and_keeps_its_id() {
        for number in 0..1000 {
            let artist = Artist::at(1, number);
            let other = artist.clone().described_differently(&mut Random::keyed(1, Subject::Song, number));
            assert_ne!(artist, other);
            assert_eq!(artist.artist_id, other.artist_id);
        }
    }
}
