"""Which backend joins the processes, and how they part."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmssl.distributed import launch
from tests.support.tools import ROOT

_TOOL = """
import pathlib, sys, torch
from mmengine.config import Config
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError
from mmssl.distributed.launch import join_processes

def gloo_threads():
    return sum('gloo' in comm.read_text() for comm in pathlib.Path('/proc/self/task').glob('*/comm'))

class Runner:
    def __init__(self):
        self.model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
        self.hook = self  # as the runner and its loops refer to each other

@tool
def main():
    join_processes(Config(dict(env_cfg=dict(dist_cfg=dict(backend='gloo')))), 'pytorch')
    runner = Runner()
    runner.model(torch.ones(1, 1)).sum().backward()
    assert gloo_threads()
    if sys.argv[1] == 'mistake':
        raise UserError('no')

try:
    main()
finally:
    print(gloo_threads(), 'threads', flush=True)
"""


@pytest.mark.parametrize(
    ('scope', 'gpus', 'backend'), [('mmdet', 0, 'gloo'), ('mmseg', 0, 'gloo'), ('mmdet', 1, 'nccl'), ('mmssl', 0, None)]
)
def test_configs_of_mmdet_and_mmseg_run_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, scope: str, gpus: int, backend: str | None
) -> None:
    joined: list[str] = []
    monkeypatch.setattr(launch, 'init_dist', lambda launcher, backend: joined.append(backend))
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    for name in ('RANK', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '0')
    cfg = Config(dict(default_scope=scope, env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    if backend is None:
        with pytest.raises(launch.UserError, match='needs a GPU, and torch sees none'):
            launch.join_processes(cfg, 'pytorch')
    else:
        launch.join_processes(cfg, 'pytorch')
        assert joined == [backend] == [cfg.env_cfg.dist_cfg.backend]


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='counts the threads in /proc, which this system lacks')
@pytest.mark.parametrize(('ending', 'code'), [('success', 0), ('mistake', 2)])
def test_no_thread_of_the_group_outlives_a_tool(tmp_path: Path, ending: str, code: int) -> None:
    """A thread of gloo that lets go of its last object while the interpreter ends makes the process abort."""
    script = tmp_path / 'tool.py'
    script.write_text(_TOOL)
    command = [
        sys.executable,
        '-m',
        'mmssl.distributed.torchrun',
        '--standalone',
        '--nproc-per-node',
        '1',
        script,
        ending,
    ]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='')
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == code, finished.stderr
    assert finished.stdout.splitlines()[-1] == '0 threads'
