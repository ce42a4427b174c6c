#!/usr/bin/env bash
# Looks the dependencies up in the database of security advisories. Without a
# network the database cannot be had: that is said, and only this part is left out.
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if cargo deny --color never check advisories >"$log" 2>&1; then
    tail -n 1 "$log"
    exit 0
fi
if grep -qE 'failed to fetch advisory database|failed to (clone|open|load) advisory' "$log"; then
    grep -v '^[[:space:]]*$' "$log" | head -n 5
    echo "advisories: NOT CHECKED, the database could not be had (no network?); all else goes on"
    exit 0
fi
cat "$log"
exit 1
