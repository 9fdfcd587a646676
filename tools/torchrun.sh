#!/usr/bin/env bash
# Starts several processes of a tool on this node: tools/torchrun.sh SCRIPT PROCESSES [arguments of SCRIPT].
# One process per GPU, or any number on CPU. On several nodes, run it on each with NNODES, NODE_RANK, MASTER_ADDR and
# PORT set. PYTHON names the interpreter; otherwise the active environment's, or that of `make`, is taken.
# MAX_RESTARTS=3 starts all processes again, up to three times, if one fails.
set -euo pipefail

script=${1:?usage: tools/torchrun.sh SCRIPT PROCESSES [arguments]}
processes=${2:?usage: tools/torchrun.sh SCRIPT PROCESSES [arguments]}
if ! [[ $processes =~ ^[1-9][0-9]*$ ]]; then
    echo "error: the number of processes must be 1 or more, got '$processes'" >&2
    exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python
    if [[ -z ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} && -x $root/.venv/bin/python ]]; then
        PYTHON=$root/.venv/bin/python
    fi
fi

nodes=(--standalone)  # picks a free port
if [[ -n ${NNODES:-}${MASTER_ADDR:-}${PORT:-} ]]; then
    nodes=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
        --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi

if [[ -z ${OMP_NUM_THREADS:-} ]]; then
    threads=$(($(getconf _NPROCESSORS_ONLN) / processes))
    export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))
fi

if [[ -n ${MAX_RESTARTS:-} ]]; then
    if [[ ${nodes[0]} != --standalone ]]; then # with fixed ranks torch would meet its old store again, and hang
        address=${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}
        nodes=(--nnodes "${NNODES:-1}" --rdzv-backend c10d --rdzv-endpoint "$address" --rdzv-id "mmssl-${PORT:-29500}")
    fi
    nodes+=(--max-restarts "$MAX_RESTARTS")
fi

exec "$PYTHON" -m mmssl.distributed.torchrun "${nodes[@]}" --nproc-per-node "$processes" \
    "$script" "${@:3}" --launcher pytorch
