"""Joining the processes of a launcher, with and without a GPU."""

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
from mmssl.utils.errors import UserError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
_RANK_VARIABLE = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}
_STARTED_BY = {
    'pytorch': 'torchrun, for example by tools/dist_train.sh CONFIG GPUS',
    'slurm': 'srun, for example by tools/slurm_train.sh',
    'mpi': 'mpirun',
}


def join_processes(cfg: Config, launcher: str) -> None:
    """Joins the process group that ``launcher`` started this process for, and notes both in ``cfg``.

    The backend is the config's ``env_cfg.dist_cfg.backend``, else nccl where there is a GPU and gloo where there is
    none. Where there is none, a config of another scope gets gloo whatever it says.

    Args:
        cfg: The config; ``launcher`` and ``env_cfg`` are set.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        UserError: The process was not started by the launcher, or has no GPU of its own where the backend needs one.
    """
    cfg.launcher = launcher
    if launcher == 'none' or is_distributed():
        return
    variable = _RANK_VARIABLE[launcher]
    if variable not in os.environ:
        raise UserError(
            f'--launcher {launcher} needs a process started by {_STARTED_BY[launcher]} ({variable} is not set); '
            'for one process leave --launcher out'
        )
    gpus = torch.cuda.device_count()
    env_cfg = dict(cfg.get('env_cfg') or {})
    dist_cfg = {'backend': 'nccl' if gpus else 'gloo'} | dict(env_cfg.get('dist_cfg') or {})
    if not gpus and cfg.get('default_scope', 'mmssl') != 'mmssl':
        dist_cfg['backend'] = 'gloo'  # every config of mmdet and mmseg says nccl, without meaning more by it
    backend = dist_cfg['backend']
    cfg.env_cfg = dict(env_cfg, dist_cfg=dist_cfg)
    if backend == 'nccl' and not gpus:
        raise UserError(
            f'--launcher {launcher} with the backend nccl needs a GPU, and torch sees none on this machine; '
            'to train on CPUs: --cfg-options env_cfg.dist_cfg.backend=gloo'
        )
    if launcher == 'pytorch' and backend == 'nccl' and int(os.environ['LOCAL_RANK']) >= gpus:
        raise UserError(
            f'process {os.environ["LOCAL_RANK"]} of this machine has no GPU of its own: torch sees {gpus}; '
            'start as many processes as there are GPUs'
        )
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    import_module('torch.distributed.nn.functional')  # when a group exists, its default arguments would keep that
    if gpus:
        init_dist(launcher, **dist_cfg)
        return
    with patch.object(torch.cuda, 'set_device', lambda device: None):  # MMEngine pins a GPU without asking for one
        init_dist(launcher, **dist_cfg)
    if rank() == 0:
        print_log(f'no GPU here: {world_size()} processes on CPU with {backend}', logger='current')


def leave_processes(failed: bool = False) -> None:
    """Closes the process group, if there is one; call it when the model is no longer in use.

    An interpreter that ends while a thread of gloo still holds one of its objects is aborted, and the exit code of a
    finished run would be that of a crash. The threads end with the group, and the group with the last
    ``DistributedDataParallel`` around it.

    Args:
        failed: This process has failed, and the others may not have: nccl would wait for them, so its group is left
            to the end of the process.
    """
    if is_distributed() and not (failed and get_backend() != 'gloo'):
        gc.collect()
        torch.distributed.destroy_process_group()
