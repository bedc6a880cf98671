#!/bin/sh
# Installs what Pith needs beside Swift: OpenBLAS with its LAPACK, and pkg-config to find it.
# On macOS the system's Accelerate framework does the same and nothing is needed.
set -eu

[ "$(uname)" = Darwin ] && exit 0

if command -v pkg-config >/dev/null 2>&1 && pkg-config --exists openblas; then
    exit 0
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

echo "Installing OpenBLAS and pkg-config"
if command -v apt-get >/dev/null 2>&1; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libopenblas-dev pkg-config
elif command -v dnf >/dev/null 2>&1; then
    as_root dnf install -y -q openblas-devel pkgconf-pkg-config
elif command -v pacman >/dev/null 2>&1; then
    as_root pacman -S --noconfirm --needed openblas lapack pkgconf
else
    echo "Please install OpenBLAS (with headers) and pkg-config, then run make again." >&2
    exit 1
fi
