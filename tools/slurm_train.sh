#!/usr/bin/env bash
# Trains under Slurm: tools/slurm_train.sh PARTITION JOB CONFIG [options of tools/train.py].
# GPUS (8 in all), GPUS_PER_NODE (8), CPUS_PER_TASK (5 for each GPU), PORT and SRUN_ARGS are read from the environment.
# REQUEUE=1 ends the run with a checkpoint two minutes before the time limit and puts the job back into the queue.
set -euo pipefail

usage='usage: tools/slurm_train.sh PARTITION JOB CONFIG [options of tools/train.py]'
partition=${1:?$usage} job=${2:?$usage} config=${3:?$usage}
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
if ((gpus % per_node)); then
    echo "GPUS=$gpus is no multiple of GPUS_PER_NODE=$per_node" >&2
    exit 2
fi
export NNODES=$((gpus / per_node)) PORT=${PORT:-29500}

requeue=()
if [[ ${REQUEUE:-0} == 1 ]]; then
    requeue=(--requeue --signal=TERM@120)
    export MMSSL_REQUEUE=1
fi

# One task on each node, which starts that node's processes. SRUN_ARGS is split into words on purpose.
# shellcheck disable=SC2016,SC2086
exec srun --partition="$partition" --job-name="$job" --nodes="$NNODES" --ntasks-per-node=1 \
    --gres="gpu:$per_node" --cpus-per-task=$((per_node * ${CPUS_PER_TASK:-5})) --kill-on-bad-exit=1 "${requeue[@]}" ${SRUN_ARGS:-} \
    bash -c 'MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) NODE_RANK=$SLURM_NODEID \
        exec bash "$@"' bash "$(dirname "${BASH_SOURCE[0]}")/dist_train.sh" "$config" "$per_node" "${@:4}"
