-- Each user as of the latest event.
SELECT user_id, first_name, last_name, gender, level
FROM staging.events
WHERE user_id IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY user_id
    ORDER BY ts DESC NULLS FIRST, session_id DESC NULLS FIRST, item_in_session DESC NULLS FIRST, level DESC NULLS FIRST,
        first_name NULLS LAST, last_name NULLS LAST, gender NULLS LAST
) = 1
