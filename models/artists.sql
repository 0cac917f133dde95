-- One row per artist_id: where the song files disagree, the most complete description wins
-- (most fields that are neither null nor empty), ties by the smallest song_id.
WITH described AS (
    SELECT
        artist_id,
        artist_name      AS name,
        artist_location  AS location,
        artist_latitude  AS latitude,
        artist_longitude AS longitude,
        row_number() OVER (
            PARTITION BY artist_id
            ORDER BY
                CASE WHEN artist_name <> '' THEN 1 ELSE 0 END
                + CASE WHEN artist_location <> '' THEN 1 ELSE 0 END
                + CASE WHEN artist_latitude IS NOT NULL THEN 1 ELSE 0 END
                + CASE WHEN artist_longitude IS NOT NULL THEN 1 ELSE 0 END DESC,
                -- The rest makes the order total, even between copies of one song.
                song_id, artist_name, artist_location, artist_latitude, artist_longitude
        ) AS place
    FROM staging.songs
)
SELECT artist_id, name, location, latitude, longitude
FROM described
WHERE place = 1
