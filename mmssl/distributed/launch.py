"""Joining and leaving of the process group that a launcher provides, with and without a GPU."""

from __future__ import annotations

import gc
import os
from importlib import import_module
from unittest.mock import patch

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.dist import get_backend, init_dist, is_distributed
from mmengine.logging import print_log
from mmengine.utils.dl_utils import set_multi_processing

from mmssl.distributed.collectives import rank, world_size
from mmssl.distributed.launchers import LAUNCHERS
from mmssl.utils.errors import UserError

_RANK_VARIABLE = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
_LOCAL_RANK_VARIABLE = {'pytorch': 'LOCAL_RANK', 'slurm': 'SLURM_LOCALID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}
_SIZE_VARIABLE = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}
_STARTED_BY = {
    'pytorch': 'torchrun, for example by tools/dist_train.sh CONFIG GPUS',
    'slurm': 'srun',
    'mpi': 'mpirun',
}


def join_processes(cfg: Config, launcher: str) -> None:
    """Joins the process group of ``launcher``, and writes launcher and backend into ``cfg``.

    The backend is ``env_cfg.dist_cfg.backend`` of the config, else nccl with a GPU and gloo without. Without a GPU a
    config of another scope always gets gloo.

    Args:
        cfg: Config, whose ``launcher`` and ``env_cfg`` are set.
        launcher: Program that started this process: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        UserError: The launcher is unknown, it did not start this process, or does not say where the first one is, or
            the backend needs one GPU per process and there are fewer.
    """
    _check_launcher(launcher)
    cfg.launcher = launcher
    if launcher == 'none' or is_distributed():
        return
    variable = _RANK_VARIABLE[launcher]
    if variable not in os.environ:
        raise UserError(
            f'--launcher {launcher} needs a process started by {_STARTED_BY[launcher]} ({variable} is not set); '
            'for one process omit --launcher'
        )
    if launcher == 'mpi':
        if 'MASTER_ADDR' not in os.environ:
            raise UserError('--launcher mpi needs the address of the first machine: mpirun -x MASTER_ADDR=ADDRESS')
        os.environ['LOCAL_RANK'] = os.environ[_LOCAL_RANK_VARIABLE['mpi']]  # MMEngine does not set it
    gpus = torch.cuda.device_count()
    env_cfg = dict(cfg.get('env_cfg') or {})
    dist_cfg = {'backend': 'nccl' if gpus else 'gloo'} | dict(env_cfg.get('dist_cfg') or {})
    if not gpus and cfg.get('default_scope', 'mmssl') != 'mmssl':
        dist_cfg['backend'] = 'gloo'  # all configs of mmdet and mmseg set nccl by default
    backend = dist_cfg['backend']
    cfg.env_cfg = dict(env_cfg, dist_cfg=dist_cfg)
    if backend == 'nccl' and not gpus:
        raise UserError(
            f'--launcher {launcher} with the backend nccl needs a GPU, and torch sees none on this machine; '
            'to train on CPUs: --cfg-options env_cfg.dist_cfg.backend=gloo'
        )
    local_rank = int(os.environ.get(_LOCAL_RANK_VARIABLE[launcher], 0))
    if backend == 'nccl' and local_rank >= gpus:
        raise UserError(
            f'process {local_rank} of this machine has no GPU of its own: torch sees {gpus}; '
            'start as many processes as there are GPUs'
        )
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    # Import this before a process group exists: it binds group.WORLD as a default argument and would keep the group
    # alive after destroy_process_group.
    import_module('torch.distributed.nn.functional')
    if gpus:
        init_dist(launcher, **dist_cfg)
        return
    with patch.object(torch.cuda, 'set_device', lambda device: None):  # MMEngine sets a GPU even if there is none
        init_dist(launcher, **dist_cfg)
    if rank() == 0:
        print_log(f'no GPU: {world_size()} processes on CPU with {backend}', logger='current')


def launched(launcher: str) -> tuple[int, int]:
    """Returns the number of this process and of all processes, before they have joined.

    Args:
        launcher: Program that started this process, see ``join_processes``.
    """
    _check_launcher(launcher)
    if launcher == 'none':
        return rank(), world_size()
    return int(os.environ.get(_RANK_VARIABLE[launcher], 0)), int(os.environ.get(_SIZE_VARIABLE[launcher], 1))


def _check_launcher(launcher: str) -> None:
    if launcher not in LAUNCHERS:
        raise UserError(f'launcher must be one of {", ".join(LAUNCHERS)}, got {launcher!r}')


def leave_processes(failed: bool = False) -> None:
    """Calls ``destroy_process_group`` if there is a group; call this function when the model is no longer in use.

    Without it, an interpreter that exits while a thread of gloo still refers to a Python object aborts, so a finished
    run would exit like a crash. The threads end when the group is destroyed, for which no ``DistributedDataParallel``
    may use it.

    Args:
        failed: Whether this process has failed. Others may still run and nccl would wait for them, so a group of nccl
            is then not destroyed.
    """
    if is_distributed() and not (failed and get_backend() != 'gloo'):
        gc.collect()
        torch.distributed.destroy_process_group()
