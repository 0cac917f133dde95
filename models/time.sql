-- One row per moment at which a play began, in UTC; weeks and weekdays as ISO 8601 counts them (Monday is 1).
SELECT
    start_time,
    CAST(date_part('hour', start_time) AS INT)       AS hour,
    CAST(date_part('day', start_time) AS INT)        AS day,
    CAST(date_part('week', start_time) AS INT)       AS week,
    CAST(date_part('month', start_time) AS INT)      AS month,
    CAST(date_part('year', start_time) AS INT)       AS year,
    CAST(date_part('isodow', start_time) AS INT)     AS weekday
FROM (SELECT DISTINCT start_time FROM songplays)
