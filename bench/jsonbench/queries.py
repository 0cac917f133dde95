"""The five queries of JSONBench over a table with the columns did, time_us, kind, operation and collection.

`{hour}` is the hour of a time in microseconds in the dialect of an engine. Ties are broken, so that answers can be compared.
"""
CREATED = "kind = 'commit' AND operation = 'create'"
QUERIES = {
    "q1": "SELECT collection, count(*) AS n FROM {table} GROUP BY collection ORDER BY n DESC, collection",
    "q2": f"SELECT collection, count(*) AS n, count(DISTINCT did) AS users FROM {{table}} WHERE {CREATED} "
          "GROUP BY collection ORDER BY n DESC, collection",
    "q3": f"SELECT collection, {{hour}} AS hour, count(*) AS n FROM {{table}} WHERE {CREATED} "
          "AND collection IN ('app.bsky.feed.post', 'app.bsky.feed.repost', 'app.bsky.feed.like') "
          "GROUP BY collection, {hour} ORDER BY hour, collection",
    "q4": f"SELECT did, min(time_us) AS first FROM {{table}} WHERE {CREATED} AND collection = 'app.bsky.feed.post' "
          "GROUP BY did ORDER BY first, did LIMIT 3",
    "q5": f"SELECT did, {{max_ms}} - {{min_ms}} AS span FROM {{table}} WHERE {CREATED} AND collection = 'app.bsky.feed.post' "
          "GROUP BY did ORDER BY span DESC, did LIMIT 3",
}
HOURS = {
    "lakewright": "CAST(time_us / 3600000000 % 24 AS BIGINT)",
    "duckdb": "time_us // 3600000000 % 24",
    "chdb": "intDiv(time_us, 3600000000) % 24",
    "polars": "CAST(time_us // 3600000000 % 24 AS BIGINT)",
}
DIVISION = {"lakewright": "{}(time_us) / 1000", "duckdb": "{}(time_us) // 1000", "chdb": "intDiv({}(time_us), 1000)", "polars": "{}(time_us) // 1000"}


def queries(engine, table):
    """Returns the text of each query in the dialect of an engine."""
    parts = {"table": table, "hour": HOURS[engine], "max_ms": DIVISION[engine].format("max"), "min_ms": DIVISION[engine].format("min")}
    return {name: text.format(**parts) for name, text in QUERIES.items()}
