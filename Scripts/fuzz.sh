#!/bin/sh
# Searches for damaged files that readers do not bear: every reader in turn, for its share of SECONDS, on all cores.
# What is found lies in FOLDER/findings/READER; the corpus that grew, beside it, is where the next search goes on.
# usage: fuzz.sh PROGRAM SECONDS FOLDER [READER…]
set -eu
program=$1 seconds=$2 folder=$3
shift 3
[ $# -gt 0 ] || set -- $("$program" list)
share=$((seconds / $#))
[ "$share" -gt 0 ] || share=1
cores=$(getconf _NPROCESSORS_ONLN)
source=$(dirname "$0")/../Fuzzing/Corpus
for reader; do
    corpus=$folder/corpus/$reader findings=$folder/findings/$reader
    mkdir -p "$corpus" "$findings"
    "$program" seeds "$reader" "$corpus"
    [ ! -d "$source/$reader" ] || cp "$source/$reader"/* "$corpus"
    echo "$reader: $share s, $(ls "$corpus" | wc -l) inputs" >&2
    # Findings do not end a search; what they cost the engine's processes is made up for by new ones.
    PITH_FUZZ_READER=$reader "$program" -fork="$cores" -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
        -timeout=30 -rss_limit_mb=2048 -max_len=200000 -len_control=20 -max_total_time="$share" \
        -artifact_prefix="$findings/" "$corpus" >"$folder/$reader.log" 2>&1 || true
    grep -q '^INFO' "$folder/$reader.log" || { cat "$folder/$reader.log" >&2; exit 1; }
    runs=$(sed -n 's/^#\([0-9]*\): cov.*/\1/p' "$folder/$reader.log" | tail -1)
    echo "$reader ${runs:-0} inputs, $(ls "$findings" | wc -l) findings" | tee -a "$folder/counts.txt"
done
