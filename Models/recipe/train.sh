#!/bin/sh
# Makes Models/nano again: fetches the text, trains, and puts the model in its place. About an hour on two cores.
# Stopped and started again, it goes on where it was.
set -eu
cd "$(dirname "$0")/../.."

work=${1:-out/nano}
pith=.build/release/pith

[ -f "$work/nano-train.txt" ] || python3 Models/recipe/fetch_text.py --out "$work"

resume=
[ -f "$work/training/checkpoint.safetensors" ] && resume=--resume
$pith train --text "$work/nano-train.txt" --held-out "$work/nano-heldout.txt" \
    --config Models/recipe/nano.json --work "$work/training" --out "$work/model" $resume

for file in config.json tokenizer.json model.safetensors; do
    cp "$work/model/$file" "Models/nano/$file"
done
