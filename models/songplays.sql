-- Every play once: the event with `page = 'NextSong'`, joined to the song it played where that is known.
WITH plays AS (
    -- An event delivered twice, in one file or in two, has the same time, user, session and place in the session.
    SELECT
        ts, user_id, session_id, item_in_session,
        max(level)      AS level,
        max(song)       AS song,
        max(artist)     AS artist,
        max(length)     AS length,
        max(location)   AS location,
        max(user_agent) AS user_agent
    FROM staging.events
    WHERE page = 'NextSong'
    GROUP BY ts, user_id, session_id, item_in_session
),
catalogue AS (
    -- One row per title, artist and duration, so that a play is never multiplied.
    SELECT
        title, artist_name, duration,
        min(song_id) AS song_id,
        first_value(artist_id ORDER BY song_id, artist_id) AS artist_id
    FROM staging.songs
    GROUP BY title, artist_name, duration
)
SELECT
    -- Made of what identifies the event (its time in milliseconds first), so that it is the same in every run.
    concat(CAST(plays.ts AS BIGINT) / 1000, '-', user_id, '-', session_id, '-', item_in_session) AS songplay_id,
    plays.ts AS start_time,
    plays.user_id,
    plays.level,
    catalogue.song_id,
    catalogue.artist_id,
    plays.session_id,
    plays.location,
    plays.user_agent,
    CAST(date_part('year', plays.ts) AS INT)  AS year,
    CAST(date_part('month', plays.ts) AS INT) AS month
FROM plays
LEFT JOIN catalogue
    ON plays.song = catalogue.title
    AND plays.artist = catalogue.artist_name
    AND plays.length = catalogue.duration
