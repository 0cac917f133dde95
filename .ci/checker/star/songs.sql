-- One row per song_id, with the greatest value of every other column.
SELECT song_id, max(title) AS title, max(artist_id) AS artist_id, max(year) AS year, max(duration) AS duration
FROM staging.songs
GROUP BY ALL
