"""Two processes train three epochs under the agent of torchrun, and one of them is killed again and again.

``python -m tests.support.elastic_run FOLDER LENGTH KILLS ...`` starts them once for every number KILLS, in the folder
FOLDER/KILLS, with ``max_restarts=KILLS`` and LENGTH steps per epoch, at least two for each kill. In each of the first
KILLS lives a process that is drawn kills itself by SIGKILL, after an iteration that is drawn or before a checkpoint is
written. The agent then kills the other process and starts both again. The processes are forked, so that nothing is
imported again; otherwise they are started, restarted and told their rank as by ``torchrun --max-restarts``.

Each process writes a line ``life iteration`` for every iteration into ``FOLDER/KILLS/steps_RANK.txt``.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from torch.distributed.elastic.rendezvous import dynamic_rendezvous
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import mmssl
from mmssl.distributed.launch import leave_processes
from mmssl.engine.runner import PretrainRunner
from mmssl.registry import HOOKS
from tests.support.config_text import write_configs_fast
from tests.support.tiny_run import tiny_config

EPOCHS, INTERVAL = 3, 3  # iterations between checkpoints


@HOOKS.register_module()
class KilledProcess(Hook):
    """Notes each iteration and kills its process in a life that is not the last.

    Args:
        folder: Folder of the notes.
        kills: Number of lives that end by SIGKILL.
    """

    priority = 'LOWEST'

    def __init__(self, folder: str, kills: int) -> None:
        self.life, self.rank = int(os.environ['TORCHELASTIC_RESTART_COUNT']), int(os.environ['RANK'])
        self.steps = Path(folder, f'steps_{self.rank}.txt')
        draw = random.Random(self.life + 2)  # the first life ends while it saves, the second after a step
        self.left, self.victim, self.while_saving = draw.randint(3, 6), draw.randrange(2), draw.random() < 0.3
        self.ends = self.life < kills

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        with self.steps.open('a') as file:
            file.write(f'{self.life} {runner.iter}\n')
        self.left -= 1
        if self.left <= 0 and self.rank == self.victim and not self.while_saving:
            self._kill()

    def before_save_checkpoint(self, runner: PretrainRunner, checkpoint: dict) -> None:
        if self.left <= 0 and self.while_saving:  # in the process that writes
            self._kill()

    def _kill(self) -> None:
        if self.ends:
            os.kill(os.getpid(), signal.SIGKILL)


def train(folder: str, kills: int, length: int) -> None:
    """Trains on one process of two, as ``tools/train.py --launcher pytorch`` does."""
    hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=INTERVAL, max_keep_ckpts=2))
    cfg = tiny_config(
        folder, 'byol', sync_bn=True, default_hooks=hooks, max_epochs=EPOCHS, runner_type='PretrainRunner',
        custom_hooks=[dict(type='KilledProcess', folder=folder, kills=kills)],
    )  # fmt: skip
    cfg['train_dataloader'].update(batch_size=2)
    cfg['train_dataloader']['dataset'].update(num_images=length * 4)
    mmssl.train(Config(cfg), folder, launcher='pytorch')
    leave_processes()


def main(target: str, epoch_length: int, numbers: list[int]) -> None:
    """Starts both processes once for every number of kills."""
    torch.set_num_threads(1)
    write_configs_fast()
    os.environ['TORCH_DISABLE_SHARE_RDZV_TCP_STORE'] = '1'  # as mmssl.distributed.torchrun does
    # Only for messages of its log; inspect.stack() takes a second with so many modules.
    dynamic_rendezvous.get_method_name = lambda depth=2: 'rendezvous'
    for number in numbers:
        launch = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=2, max_restarts=number, start_method='fork', monitor_interval=0.05,
            rdzv_backend='c10d', rdzv_endpoint='localhost:0', run_id=f'elastic-run-{os.getpid()}-{number}',
        )  # fmt: skip
        elastic_launch(launch, train)(str(Path(target, str(number))), number, epoch_length)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), [int(number) for number in sys.argv[3:]])
