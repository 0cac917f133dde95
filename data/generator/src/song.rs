//! Record and path of song files.

use serde::Serialize;

use crate::Options;
use crate::artist::Artist;
use crate::random::{Random, Subject};
use crate::words::words;

/// Maximum number of songs in one folder. Folders have three levels, named by one letter each, and
/// are filled in order.
const SONGS_PER_FOLDER: u64 = 50;

/// Suffixes that some titles have.
const EDITIONS: &[&str] = &["(Live)", "(Album Version)", "[Remix]", "\"Demo\"", "A/B", "No. 9"];

/// Record in one song file. The fields are written in this order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Song {
    num_songs: u32,
    pub(crate) artist_id: String,
    artist_latitude: Option<f64>,
    artist_longitude: Option<f64>,
    artist_location: String,
    pub(crate) artist_name: String,
    pub(crate) song_id: String,
    pub(crate) title: String,
    /// Duration in seconds.
    pub(crate) duration: f64,
    /// Year of the song; 0 if unknown.
    year: u32,
}

impl Song {
    /// Returns the song with this number. Only songs with numbers below `options.songs` have a song
    /// file.
    pub(crate) fn at(options: &Options, number: u64) -> Self {
        let mut random = Random::keyed(options.seed, Subject::Song, number);
        let repeats = number > 0 && number < options.songs && random.chance(options.duplicate_songs);
        if !repeats {
            return Self::original(options, number, random);
        }
        let original = Self::at(options, random.below(number));
        if random.chance(0.5) { original } else { Self { song_id: song_id(number, &mut random), ..original } }
    }

    fn original(options: &Options, number: u64, mut random: Random) -> Self {
        let artist = artist_of(options, number, &mut random);
        let (latitude, longitude) = artist.coordinates.unzip();
        let (title, duration, year) = if number == 0 {
            ("Setanta matins".to_owned(), 269.58322, 0)
        } else {
            let year = if random.chance(0.6) { 0 } else { 1955 + random.below(56) as u32 };
            (title(&mut random), duration(&mut random), year)
        };
        Self {
            num_songs: 1,
            artist_id: artist.artist_id,
            artist_latitude: latitude,
            artist_longitude: longitude,
            artist_location: artist.location,
            artist_name: artist.name,
            song_id: song_id(number, &mut random),
            title,
            duration,
            year,
        }
    }
}

/// Returns the path of the song file with this number, such as `A/A/B/TRAABXQ128F0C3A51D.json`. The
/// path is relative to `song_data/`.
pub(crate) fn path(seed: u64, number: u64) -> String {
    let folder = number / SONGS_PER_FOLDER;
    let letter = |place: u64| char::from(b'A' + (folder / 26_u64.pow(place as u32) % 26) as u8);
    let (a, b, c) = (letter(2), letter(1), letter(0));
    let rest = Random::keyed(seed, Subject::Song, number).letters(2);
    format!("{a}/{b}/{c}/TR{a}{b}{c}{rest}128F{:07X}.json", number.wrapping_mul(0x5BD_1E95) & 0xFFF_FFFF)
}

/// Returns a title: a few words and, in one of five cases, a suffix such as `(Live)`.
fn title(random: &mut Random) -> String {
    let words = words(random);
    if random.chance(0.2) { format!("{words} {}", random.pick(EDITIONS)) } else { words }
}

/// Returns a duration in seconds with five decimal places: 20 to 460, mostly near 240.
fn duration(random: &mut Random) -> f64 {
    (2_000_000 + random.below(22_000_000) + random.below(22_000_000)) as f64 / 100_000.0
}

fn song_id(number: u64, random: &mut Random) -> String {
    // Multiplying by an odd number modulo 2³² gives different ids for different numbers below 2³².
    format!("SO{}12A{:08X}", random.letters(5), number.wrapping_mul(0x9E37_79B1) & 0xFFFF_FFFF)
}

/// Returns the artist of a song. Elena recorded only song 0. Two thirds of the other songs are
/// their artist's first song.
fn artist_of(options: &Options, number: u64, random: &mut Random) -> Artist {
    let is_first = number % 3 != 2;
    if is_first || number < 3 {
        return Artist::at(options.seed, number);
    }
    let group = 1 + random.below(number / 3);
    let artist_number = if random.chance(0.5) { group * 3 } else { group * 3 - 2 };
    let artist = Artist::at(options.seed, artist_number);
    let conflicting = is_conflicting(options, artist_number);
    if conflicting { artist.described_differently(random) } else { artist }
}

/// Whether the later songs of an artist describe the artist differently from the first song.
pub(crate) fn is_conflicting(options: &Options, artist_number: u64) -> bool {
    // Use a separate sequence, so that the result does not depend on the number of draws for the
    // artist's description.
    Random::keyed(options.seed ^ u64::MAX, Subject::Artist, artist_number).chance(options.conflicting_artists)
}
