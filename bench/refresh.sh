#!/usr/bin/env bash
# Runs the benchmark on M with all engines and puts its table into ARCHITECTURE.md, in place of the one
# between the lines `<!-- bench/refresh.sh -->` and `<!-- end -->`. Takes the variables of bench/run.sh.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

table=$(mktemp)
trap 'rm -f "$table"' EXIT
"$repository/bench/run.sh" M | tee /dev/stderr | sed -n '/^| engine/,/^$/p' > "$table"
python3 - "$repository/ARCHITECTURE.md" "$table" << 'END'
import datetime, os, pathlib, platform, re, sys

page, table = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text()
rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in table.splitlines() if line.startswith("|")]
columns = [rows[0].index(next(name for name in rows[0] if name.startswith(start)))
           for start in ("engine", "CPU s", "wall s", "peak RSS", "files", "MB out")]
processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
lines = [f"{datetime.date.today()}, {os.cpu_count()} cores ({processor}), answers equal:", ""]
for number, row in enumerate(rows):
    lines.append("| " + " | ".join(row[column] for column in columns) + " |")
text = page.read_text()
fresh, count = re.subn(r"(<!-- bench/refresh.sh -->\n).*?(<!-- end -->)", lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text, flags=re.S)
assert count == 1, "ARCHITECTURE.md has no place for the table"
page.write_text(fresh)
END
