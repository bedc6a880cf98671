#!/bin/sh
# Rounds a model to types of GGUF's blocks with llama-quantize and with Pith, both by what the same text says of the
# inputs, and has llama.cpp measure how far the predictions of each moved from those of the original.
#
#   quantize.sh PITH LLAMA_BIN MODEL CALIBRATION TEXT [TYPE ...]
#
# LLAMA_BIN is a folder with llama-imatrix, llama-quantize and llama-perplexity, MODEL a folder of floats. SPEC is
# Pith's method (gptq), WORK where files go.
set -eu
[ $# -ge 5 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64; }
pith=$1 llama=$2 model=$3 calibration=$4 text=$5
shift 5
work=${WORK:-$(mktemp -d)}
floats=$work/floats.gguf importance=$work/importance.gguf base=$work/base.kld
mkdir -p "$work"
[ -e "$floats" ] || "$pith" convert "$model" "$floats" --quiet >/dev/null
[ -e "$importance" ] || "$llama/llama-imatrix" -m "$floats" -f "$calibration" -o "$importance" -c 512 >"$work/imatrix.log" 2>&1
[ -e "$base" ] || "$llama/llama-perplexity" -m "$floats" -f "$text" --kl-divergence-base "$base" -c 512 >"$work/base.log" 2>&1

measure() {
    "$llama/llama-perplexity" -m "$1" --kl-divergence-base "$base" --kl-divergence -c 512 2>&1 |
        awk '/Mean    KLD/ { kl = $3 " " $4 " " $5 } /Mean PPL\(Q\)  / { ppl = $4 } /Same top p/ { top = $4 }
             END { printf "KL %s, perplexity %s, same token %s %%", kl, ppl, top }'
    printf ', %s bytes\n' "$(wc -c <"$1")"
}

for type in "${@:-Q4_0}"; do
    "$llama/llama-quantize" --imatrix "$importance" "$floats" "$work/llama-$type.gguf" "$type" >"$work/quantize.log" 2>&1
    printf 'llama-quantize %-7s %s\n' "$type" "$(measure "$work/llama-$type.gguf")"
    rm -f "$work/pith-$type.gguf"
    "$pith" compress "$model" "${SPEC:-gptq}" --format "gguf:$type" --calibration "$calibration" \
        -o "$work/pith-$type.gguf" --quiet >/dev/null
    printf 'pith %-7s           %s\n' "$type" "$(measure "$work/pith-$type.gguf")"
done
