-- One row per song_id. Copies of a song that differ fold into the one with the greatest values,
-- so the answer never depends on the order of the files.
SELECT
    song_id,
    max(title)     AS title,
    max(artist_id) AS artist_id,
    max(year)      AS year,
    max(duration)  AS duration
FROM staging.songs
GROUP BY song_id
