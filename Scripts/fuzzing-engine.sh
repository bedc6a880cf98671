#!/bin/sh
# The options of `swift build` that record coverage in all Swift modules and link libFuzzer, which has the program's
# own main beside it. With PITH_SANITIZE=address reads and writes outside of memory are found too, at half the speed.
set -eu
clang=$(command -v clang)
name=libclang_rt.fuzzer_no_main-$(uname -m).a
engine=$("$clang" -print-file-name="$name")
[ -f "$engine" ] || engine=$(ls "$(dirname "$(readlink -f "$clang")")"/../lib/clang/*/lib/linux/"$name" | tail -1)
kinds=fuzzer
if [ "${PITH_SANITIZE:-}" = address ]; then
    kinds=address,fuzzer
    printf -- '--sanitize=address '
fi
# -Xfrontend: the driver would link an engine with a main of its own.
printf -- '-Xswiftc -Xfrontend -Xswiftc -sanitize=%s ' "$kinds"
printf -- '-Xlinker -u -Xlinker LLVMFuzzerRunDriver -Xlinker %s -Xlinker -lstdc++ -Xlinker -lm\n' "$engine"
