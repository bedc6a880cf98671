#!/bin/sh
# Builds llama.cpp's `llama-bench`, the peer that Pith is measured beside, for this machine, and prints its path.
#
# The sources are the ones that the Python package llama-cpp-python brings. Needs Python 3 with pip and a C++ compiler;
# cmake and ninja come from pip where they are missing.
#
#   PEER_FOLDER   where all of it goes (Benchmarks/.peer, which git ignores)
#   PEER_VERSION  the version of llama-cpp-python
#   PEER_SOURCE   its source archive, if it is here already
#   PEER_JOBS     compilers that run together
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
folder=${PEER_FOLDER:-$here/.peer}
version=${PEER_VERSION:-0.3.36}
jobs=${PEER_JOBS:-$(getconf _NPROCESSORS_ONLN)}
sources=$folder/llama.cpp-$version
program=$folder/build-$version/bin/llama-bench

say() { echo "$*" >&2; }
refuse() { say "$*"; exit 1; }

# A Python of our own, so that nothing is installed outside the folder.
python() {
    if [ ! -x "$folder/python/bin/python" ]; then
        command -v python3 >/dev/null || refuse "Please install Python 3 with venv and pip, then run this again."
        python3 -m venv "$folder/python" || refuse "Please install Python's venv module, then run this again."
    fi
    "$folder/python/bin/python" "$@"
}

fetch_sources() {
    [ -f "$sources/CMakeLists.txt" ] && return
    archive=${PEER_SOURCE:-$folder/llama_cpp_python-$version.tar.gz}
    if [ ! -f "$archive" ]; then
        say "Downloading the sources of llama-cpp-python $version"
        python -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$folder" \
            "llama-cpp-python==$version" >&2
    fi
    rm -rf "$sources.part"
    mkdir -p "$sources.part"
    tar -xzf "$archive" -C "$sources.part" --strip-components=3 "llama_cpp_python-$version/vendor/llama.cpp"
    mv "$sources.part" "$sources"
}

find_tools() {
    PATH=$PATH:$folder/python/bin
    cmake --version >/dev/null 2>&1 || python -m pip install --quiet cmake ninja >&2
    # Without ninja cmake takes what the system has.
    if ninja --version >/dev/null 2>&1; then generator="-G Ninja"; else generator=; fi
}

compile() {
    say "Compiling llama-bench; this takes some minutes"
    # Its own defaults for speed on this machine (GGML_NATIVE, OpenMP, its own matrix kernels), and nothing else of it.
    # shellcheck disable=SC2086 # the generator is two words
    cmake $generator -S "$sources" -B "$folder/build-$version" \
        -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON -DGGML_CCACHE=OFF \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF \
        -DLLAMA_OPENSSL=OFF >&2
    cmake --build "$folder/build-$version" --target llama-bench --parallel "$jobs" >&2
}

if [ ! -x "$program" ]; then
    mkdir -p "$folder"
    fetch_sources
    find_tools
    compile
fi
echo "$program"
