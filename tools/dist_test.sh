#!/usr/bin/env bash
# Evaluates with several processes: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py].
# Several nodes, CPUs and the interpreter: see tools/torchrun.sh.
set -euo pipefail
tools=$(dirname "${BASH_SOURCE[0]}")
usage='usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]'
exec bash "$tools/torchrun.sh" "$tools/test.py" "${3:?$usage}" "${1:?$usage}" "${2:?$usage}" "${@:4}"
