-- The most complete description of each artist; ties go to the first one in the order of all columns.
SELECT artist_id, artist_name AS name, artist_location AS location, artist_latitude AS latitude, artist_longitude AS longitude
FROM staging.songs
QUALIFY row_number() OVER (
    PARTITION BY artist_id
    ORDER BY
        (coalesce(artist_name, '') <> '')::INT + (coalesce(artist_location, '') <> '')::INT
            + (artist_latitude IS NOT NULL)::INT + (artist_longitude IS NOT NULL)::INT DESC,
        song_id NULLS LAST, artist_name NULLS LAST, artist_location NULLS LAST, artist_latitude NULLS LAST, artist_longitude NULLS LAST
) = 1
