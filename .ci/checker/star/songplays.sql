-- Each play once, with the song and the artist where title, artist and duration match.
WITH plays AS (
    SELECT ts, user_id, session_id, item_in_session, max(level) AS level, max(song) AS song, max(artist) AS artist,
        max(length) AS length, max(location) AS location, max(user_agent) AS user_agent
    FROM staging.events
    WHERE page = 'NextSong'
    GROUP BY ts, user_id, session_id, item_in_session
),
catalogue AS (
    SELECT title, artist_name, duration, min(song_id) AS song_id, first(artist_id ORDER BY song_id, artist_id) AS artist_id
    FROM staging.songs
    GROUP BY title, artist_name, duration
)
SELECT
    concat(epoch_ms(ts), '-', user_id, '-', session_id, '-', item_in_session) AS songplay_id,
    ts AS start_time, user_id, level, song_id, artist_id, session_id, location, user_agent,
    year(ts)::INT AS year, month(ts)::INT AS month
FROM plays
LEFT JOIN catalogue ON song = title AND artist = artist_name AND length = duration
