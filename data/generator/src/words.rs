//! Words for titles and names.

use crate::random::Random;

/// Words for titles and names. Some contain accented letters or an apostrophe, because a program
/// that reads the data must handle both.
const WORDS: &[&str] = &[
    "Amber", "Avenue", "Über", "Blue", "Café", "Carousel", "Daylight", "Distant", "Dream", "Echo", "Ember", "Evening",
    "Fire", "Forever", "Garden", "Ghost", "Gold", "Harbour", "Heart", "Hollow", "Home", "I'm", "Indigo", "Island",
    "Jardín", "Letters", "Lantern", "Light", "Lonely", "Meadow", "Midnight", "Moon", "Never", "Niño", "North", "Ocean",
    "Paper", "Piano", "Rain", "Rêve", "River", "Road", "Shadow", "Silver", "Sky", "Stone", "Summer", "Sur", "Thunder",
    "Tomorrow", "Velvet", "Waltz", "Wild", "Winter",
];

/// Returns a text of one to three words.
pub(crate) fn words(random: &mut Random) -> String {
    let words: Vec<_> = (0..=random.below(3)).map(|_| random.pick(WORDS)).collect();
    words.join(" ")
}
