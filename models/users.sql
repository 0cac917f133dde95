-- Every user with an id in the log, as of their latest event: a user who upgraded is `paid`.
WITH seen AS (
    SELECT
        user_id, first_name, last_name, gender, level,
        row_number() OVER (
            PARTITION BY user_id
            -- The columns after item_in_session make the order total, even between copies of one event.
            ORDER BY ts DESC, session_id DESC, item_in_session DESC, level DESC, first_name, last_name, gender
        ) AS place
    FROM staging.events
    WHERE user_id IS NOT NULL
)
SELECT user_id, first_name, last_name, gender, level
FROM seen
WHERE place = 1
