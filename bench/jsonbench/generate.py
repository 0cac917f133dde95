#!/usr/bin/env python3
"""generate.py OUT [--documents N] [--bad-lines N] [--seed N]: writes documents of the shape that JSONBench's have.

JSONBench (github.com/ClickHouse/JSONBench) loads events of Bluesky: newline-delimited JSON, a million documents per file,
gzip. The collections have the shares that JSONBench publishes for a million documents. Bad lines are added between the
documents. OUT/expected.json has the answers of the five queries over the documents, and the place and kind of each bad line.
"""
import argparse
import collections
import gzip
import json
import os
import random

# Documents of each collection in a million, from the published results of JSONBench's first query. The empty name is for
# documents without a commit.
SHARES = {
    "app.bsky.feed.like": 448944, "app.bsky.graph.follow": 360374, "app.bsky.feed.post": 90816, "app.bsky.feed.repost": 58540,
    "app.bsky.graph.block": 14040, "app.bsky.actor.profile": 11762, "app.bsky.graph.listitem": 8103, "": 5328,
    "app.bsky.graph.listblock": 895, "app.bsky.graph.starterpack": 405, "app.bsky.graph.list": 356,
    "app.bsky.feed.threadgate": 255, "app.bsky.feed.postgate": 104, "app.bsky.feed.generator": 74, "app.bsky.labeler.service": 4,
}
BAD = ["truncated", "text", "not_utf8", "no_did", "time_as_text"]
DOCUMENTS_PER_FILE = 1_000_000
START_US = 1_732_206_349_000_000  # 2024-11-21 16:25:49 UTC
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
WORDS = ["sky", "über", "今日", "good morning ☀️", "thread", "\"quoted\"", "back\\slash", "line\nfeed", "cats", "🐈", "lunch", "news"]
THREE = ["app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.feed.like"]

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("out")
p.add_argument("--documents", type=int, default=1_000_000)
p.add_argument("--bad-lines", type=int, default=100)
p.add_argument("--seed", type=int, default=1)
a = p.parse_args()
rng = random.Random(a.seed)


def word(length):
    return "".join(rng.choices(LETTERS, k=length))


users = ["did:plc:" + word(24) for _ in range(max(10, a.documents // 6))]
pool = [word(46) for _ in range(5000)]  # Ends of content identifiers.


def record(collection, at):
    created = f"2024-11-21T{16 + at // 3600 % 8:02}:{at // 60 % 60:02}:{at % 60:02}.{rng.randrange(1000):03}Z"
    base = {"$type": collection, "createdAt": created}
    # `subject` is a text in some collections and an object in others.
    if collection in ("app.bsky.feed.like", "app.bsky.feed.repost"):
        base["subject"] = {"cid": "bafyrei" + rng.choice(pool), "uri": f"at://{rng.choice(users)}/app.bsky.feed.post/{word(13)}"}
    elif collection in ("app.bsky.graph.follow", "app.bsky.graph.block", "app.bsky.graph.listitem"):
        base["subject"] = rng.choice(users)
    else:
        base |= {"langs": ["en"], "text": " ".join(rng.choices(WORDS, k=rng.randrange(1, 30)))}
    return base


def document(collection, time_us, did):
    at = (time_us - START_US) // 1_000_000
    if not collection:
        return {"did": did, "time_us": time_us, "kind": "identity", "identity": {"did": did, "handle": word(8) + ".bsky.social", "seq": time_us % 10**9}}
    operation = "delete" if rng.random() < 0.02 else "update" if collection == "app.bsky.actor.profile" and rng.random() < 0.5 else "create"
    commit = {"rev": word(13), "operation": operation, "collection": collection, "rkey": word(13)}
    if operation != "delete":
        commit |= {"record": record(collection, at), "cid": "bafyrei" + rng.choice(pool)}
    return {"did": did, "time_us": time_us, "kind": "commit", "commit": commit}


def bad(kind, line):
    if kind == "truncated":
        return line[: len(line) // 2]
    if kind == "text":
        return b"connection reset by peer"
    if kind == "not_utf8":
        return line.replace(b'"kind"', b'"k\xffnd"', 1)
    if kind == "no_did":
        return line.replace(b'"did":', b'"dud":', 1)
    return line.replace(b'"time_us":', b'"time_us":"about ', 1).replace(b',"kind"', b'","kind"', 1)


os.makedirs(os.path.join(a.out, "bluesky"), exist_ok=True)
bad_at = set(rng.sample(range(a.documents), min(a.bad_lines, a.documents)))
counts, creates, by_user = collections.Counter(), collections.Counter(), collections.defaultdict(set)
hours, posts = collections.Counter(), {}
bad_lines = []
time_us = START_US
for number in range((a.documents + DOCUMENTS_PER_FILE - 1) // DOCUMENTS_PER_FILE):
    name = f"file_{number + 1:04}.json.gz"
    size = min(DOCUMENTS_PER_FILE, a.documents - number * DOCUMENTS_PER_FILE)
    names = [name for name, share in SHARES.items() for _ in range(share)]
    names = names if size == DOCUMENTS_PER_FILE else rng.sample(names, size)
    rng.shuffle(names)
    line_number = 0
    with gzip.open(os.path.join(a.out, "bluesky", name), "wb", compresslevel=1) as file:
        for index, collection in enumerate(names):
            time_us += rng.randrange(1, 1600)
            did = users[int(rng.paretovariate(1.2)) % len(users)] if rng.random() < 0.3 else rng.choice(users)
            value = document(collection, time_us, did)
            line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
            if number * DOCUMENTS_PER_FILE + index in bad_at:
                line_number += 1
                kind = BAD[len(bad_lines) % len(BAD)]
                bad_lines.append({"file": name, "line": line_number, "kind": kind})
                file.write(bad(kind, line) + b"\n")
            line_number += 1
            file.write(line + b"\n")
            counts[collection] += 1
            if collection and value["commit"]["operation"] == "create":
                creates[collection] += 1
                by_user[collection].add(did)
                if collection in THREE:
                    hours[collection, time_us // 3_600_000_000 % 24] += 1
                if collection == "app.bsky.feed.post":
                    first, _ = posts.get(did, (time_us, 0))
                    posts[did] = (first, time_us)
answers = {
    "q1": sorted(([name or None, count] for name, count in counts.items()), key=lambda row: (-row[1], row[0] or "")),
    "q2": sorted(([name, count, len(by_user[name])] for name, count in creates.items()), key=lambda row: (-row[1], row[0])),
    "q3": sorted(([name, hour, count] for (name, hour), count in hours.items()), key=lambda row: (row[1], row[0])),
    "q4": sorted(([did, first] for did, (first, _) in posts.items()), key=lambda row: (row[1], row[0]))[:3],
    "q5": sorted(([did, last // 1000 - first // 1000] for did, (first, last) in posts.items()), key=lambda row: (-row[1], row[0]))[:3],
}
with open(os.path.join(a.out, "expected.json"), "w") as file:
    json.dump({"documents": a.documents, "bad_lines": bad_lines, "answers": answers}, file)
