#!/usr/bin/env python3
"""report.py RESULTS EXPECTED: medians per engine as a Markdown table, with the documents that each engine lost.

`lost` are documents of the input that are not in the loaded rows, and `bad lines loaded` are rows that come from bad lines, as
far as the number of rows and the first query show. `bad lines named` counts those whose file and line the engine can name.
"""
import json
import statistics
import sys

runs = [json.loads(line) for line in open(sys.argv[1])]
expected = json.load(open(sys.argv[2]))
bad = {(line["file"], line["line"]) for line in expected["bad_lines"]}
print("| engine | load, CPU s | wall s | peak RSS MiB | queries, CPU s | rows (documents + bad lines: "
      f"{expected['documents']:,} + {len(bad)}) | lost | bad lines loaded | bad lines named | answers |")
print("|---|---|---|---|---|---|---|---|---|---|")
for engine in dict.fromkeys(run["figures"]["engine"] for run in runs):
    loads, queries = ([run for run in runs if run["figures"]["engine"] == engine and run["figures"]["action"] == action] for action in ("load", "query"))
    failed = [run for run in loads + queries if run["figures"]["rc"] != 0 or run["answer"] is None]
    if failed:
        print(f"| {engine} | failed: {(failed[0]['log'] or ['no output'])[-1].strip()[:150]} |")
        continue
    median = lambda some, key: statistics.median(run["figures"][key] for run in some)
    answer = loads[0]["answer"]
    loaded, named = (answer["loaded"], {(file, line) for file, line, _ in answer["rejected"]}) if isinstance(answer, dict) else (answer, set())
    found, wanted = (dict(map(tuple, answers["q1"])) for answers in (queries[0]["answer"], expected["answers"]))
    normal = lambda counts: {name or "": count for name, count in counts.items()}
    found, wanted = normal(found), normal(wanted)
    lost = sum(max(0, wanted.get(name, 0) - found.get(name, 0)) for name in wanted)
    extra = loaded - (expected["documents"] - lost)
    same = [name for name, rows in expected["answers"].items()
            if [[cell or None for cell in row] if name == "q1" else row for row in queries[0]["answer"][name]] == rows]
    print(f"| {engine} | {median(loads, 'cpu_s'):.1f} | {median(loads, 'wall_s'):.1f} | {median(loads, 'peak_tree_mib'):.0f} "
          f"| {median(queries, 'cpu_s'):.1f} | {loaded:,} | {lost} | {extra} | {len(named & bad)} of {len(bad)}"
          f"{f', and {len(named - bad)} others' if named - bad else ''} | {len(same)} of 5 exact |")
