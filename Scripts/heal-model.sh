#!/bin/sh
# Trains a model on at a small rate, so that its weights leave the grid that they were rounded to, and writes it as a
# folder of BF16: what methods that round weights are measured on. A run that was stopped goes on where it was.
#
#   heal-model.sh MODEL FOLDER HELD-OUT TEXT...
#
# MODEL is a folder or a GGUF file, FOLDER what is written. STEPS are steps of 4096 tokens, RATE the highest
# learning rate, PITH the program.
set -eu
[ $# -ge 4 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64; }
model=$1 folder=$2 held_out=$3
shift 3
pith=${PITH:-$(dirname "$0")/../.build/release/pith}
[ -e "$folder/training/checkpoint.safetensors" ] && resume=--resume
exec nice "$pith" train "steps=${STEPS:-256}" "learningRate=${RATE:-2e-5}" sequenceLength=512 batchSize=8 \
    checkpointInterval=8 outputType=bfloat16 --from "$model" ${resume:-} \
    --out "$folder" --held-out "$held_out" --text "$@"
