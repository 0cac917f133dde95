# shellcheck shell=bash
# Expected tables, for any number of workers.

# Builds the same data in one process on folders, as the reference: rows and checksum of each table.
tables_of_one_machine() {
  env -u AWS_ENDPOINT_URL_S3 LAKEWRIGHT__LAKE__URL="$scratch/lake" "$LAKEWRIGHT_BIN/coordinator" --config lake.toml --quiet run
  LAKEWRIGHT__LAKE__URL="$scratch/lake" "$LAKEWRIGHT_BIN/coordinator" --config lake.toml --quiet tables --checksum --jsonlines > "$scratch/expected.raw"
  only_contents < "$scratch/expected.raw" > "$scratch/expected"
  [[ $(wc -l < "$scratch/expected") == 5 ]] || broken "the run on folders made other than five tables: $(cat "$scratch/expected.raw")"
}

# Files and bytes depend on the number of workers; rows and their checksum do not.
only_contents() {
  "$LAKEWRIGHT_VENV/bin/python" -c 'import json, sys
for line in sys.stdin:
    table = json.loads(line)
    print(table["table"], table["rows"], table["checksum"])'
}
