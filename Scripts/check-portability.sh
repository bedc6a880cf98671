#!/bin/sh
# Builds the kernels for this machine and for arm64, runs both (arm64 under qemu), and compares what they compute.
set -eu
cd "$(dirname "$0")/.."
for tool in qemu-aarch64-static aarch64-linux-gnu-gcc; do
    command -v "$tool" >/dev/null || missing=1
done
if [ "${missing:-}" ]; then
    apt-get install -y -q qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross >/dev/null
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CLANG=${CLANG:-$(dirname "$(readlink -f "$(command -v swift)")")/clang}

# build NAME LINKER FLAGS...: compiles with clang and links.
build() {
    name=$1 linker=$2
    shift 2
    for source in Sources/CPithKernels/*.c Tests/Portability/digest.c; do
        "$CLANG" "$@" -O2 -ISources/CPithKernels/include -c "$source" \
            -o "$work/$name-$(basename "$source" .c).o"
    done
    "$linker" -static "$work/$name"-*.o -lm -o "$work/$name"
}

build native cc
build arm64 aarch64-linux-gnu-gcc --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include
"$work/native" >"$work/lines"
qemu-aarch64-static "$work/arm64" | sed 's/$/ (arm64)/' >>"$work/lines"
cat "$work/lines"
if [ "$(cut -d' ' -f1 "$work/lines" | sort -u | wc -l)" -ne 1 ]; then
    echo "The paths do not compute the same bits." >&2
    exit 1
fi
echo "All paths compute the same bits."
