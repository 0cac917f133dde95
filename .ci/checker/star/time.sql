-- Each moment at which a play started, with the parts of its date in UTC.
SELECT
    start_time, hour(start_time)::INT AS hour, day(start_time)::INT AS day, week(start_time)::INT AS week,
    month(start_time)::INT AS month, year(start_time)::INT AS year, isodow(start_time)::INT AS weekday
FROM (SELECT DISTINCT start_time FROM songplays)
