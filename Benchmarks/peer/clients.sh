#!/bin/sh
# Installs the programs that open what Pith writes into an environment of their own, and runs clients.py with them.
# What has no build for this machine is left out, by name.
# usage: clients.sh PITH MODEL [OPTION…]
set -eu
[ $# -ge 2 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 64; }
environment=${CLIENTS:-$HOME/.cache/pith/clients}
python=$environment/bin/python
install() {
    "$python" -m pip install -q --disable-pip-version-check "$@" || echo "not installed: $*" >&2
}
if [ ! -e "$environment/installed" ]; then
    python3 -m venv "$environment"
    install numpy safetensors gguf tokenizers
    install xllamacpp
    if [ "$(uname)" = Linux ]; then install 'mlx[cpu]'; else install mlx; fi
    install torch transformers compressed-tensors
    touch "$environment/installed"
fi
exec "$python" "$(dirname "$0")/clients.py" "$@"
