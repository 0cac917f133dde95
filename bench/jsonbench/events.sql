SELECT did, time_us, kind, operation, collection, rev, rkey, cid, record
FROM staging.bluesky
