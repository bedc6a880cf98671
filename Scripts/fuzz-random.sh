#!/bin/sh
# Reads so many files in all that are damaged at random, a share for each reader; ends with the first finding.
# usage: fuzz-random.sh PROGRAM COUNT [READER…]
set -eu
program=$1 count=$2
shift 2
[ $# -gt 0 ] || set -- $("$program" list)
share=$(((count + $# - 1) / $#))
for reader; do "$program" mutate "$reader" "$share" 1; done
