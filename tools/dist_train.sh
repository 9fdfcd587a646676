#!/usr/bin/env bash
# Trains with several processes: tools/dist_train.sh CONFIG GPUS [options of tools/train.py].
# Several nodes, CPUs and the interpreter: see tools/torchrun.sh.
set -euo pipefail
tools=$(dirname "${BASH_SOURCE[0]}")
usage='usage: tools/dist_train.sh CONFIG GPUS [options of tools/train.py]'
exec bash "$tools/torchrun.sh" "$tools/train.py" "${2:?$usage}" "${1:?$usage}" "${@:3}"
