"""Which backend joins the processes, and how they part."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmssl.distributed import launch, torchrun
from mmssl.utils.errors import UserError
from tests.support.distributed import free_port
from tests.support.fresh_python import run_python
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


_ALONE = """
import os, signal, sys, torch
import torch.distributed as dist
from mmengine.config import Config
from mmssl.cli.tool import tool
from mmssl.distributed.launch import join_processes

os.environ.update(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=sys.argv[1])
for case in 'dies', 'never comes':
    rank = 0 if case == 'never comes' or os.fork() else 1
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))

    @tool
    def main():
        seconds = 30 if case == 'dies' else 1
        join_processes(Config(dict(env_cfg=dict(dist_cfg=dict(backend='gloo', timeout=seconds)))), 'pytorch')
        if rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.all_reduce(torch.ones(1))

    try:
        main()
    except SystemExit as end:
        print(case, end.code, flush=True)
"""


def test_a_process_that_dies_or_never_comes_ends_the_others_with_a_sentence() -> None:
    environment = dict(os.environ, PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='', GLOO_SOCKET_IFNAME='lo')
    finished = run_python('-c', _ALONE, free_port(), env=environment)
    assert finished.stdout.splitlines()[-2:] == ['dies 2', 'never comes 2'], finished.stderr
    assert finished.stderr.count('error: another process of the run was ended or does not answer: see its') == 2
    assert 'Traceback' not in finished.stderr


@pytest.mark.parametrize(('node', 'found'), [('0', '1 of 2 machines came in time'), ('1', 'the first machine did not')])
def test_a_machine_that_never_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, node: str, found: str
) -> None:
    nodes = ['--nnodes', '2', '--node-rank', node, '--master-addr', '127.0.0.1', '--master-port', free_port()]
    monkeypatch.setattr(sys, 'argv', ['torchrun', *nodes, '--rdzv-conf', 'timeout=1', 'no_script.py'])
    with pytest.raises(SystemExit) as end:
        torchrun.run()
    message = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code == 2 and message.startswith(f'error: {found}') and 'each with its NODE_RANK' in message


def test_a_killed_process_is_named_with_its_signal() -> None:
    assert torchrun._ending(-9).startswith('was ended from outside by SIGKILL, as the system does if memory runs out')
    assert torchrun._ending(-15) == 'was ended from outside by SIGTERM; --resume continues at the last checkpoint'
    assert torchrun._ending(2) == 'ended with exit code 2; see its message above'


@pytest.mark.parametrize('which', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_torchrun_ends_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, which: signal.Signals
) -> None:
    script = ('-c', f'import os, time; os.kill(os.getppid(), {int(which)}); time.sleep(60)')
    monkeypatch.setattr(sys, 'argv', ['torchrun', '--standalone', '--no-python', sys.executable, *script])
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit) as end:
            torchrun.run()
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    message = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code == 2 and message.startswith(f'error: {which.name} ended the processes of this machine')


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


def test_processes_of_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, 'init_dist', lambda launcher, backend: None)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setenv('LOCAL_RANK', '0')  # as tools/train.py sets it
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    for name, value in dict(RANK='3', SIZE='4', LOCAL_RANK='1').items():
        monkeypatch.setenv(f'OMPI_COMM_WORLD_{name}', value)
    with pytest.raises(launch.UserError, match='-x MASTER_ADDR='):
        launch.join_processes(Config(), 'mpi')
    monkeypatch.setenv('MASTER_ADDR', 'first')
    launch.join_processes(Config(), 'mpi')
    assert os.environ['LOCAL_RANK'] == '1' and launch.launched('mpi') == (3, 4)
    monkeypatch.setenv('OMPI_COMM_WORLD_LOCAL_RANK', '2')
    with pytest.raises(launch.UserError, match='process 2 of this machine has no GPU of its own: torch sees 2'):
        launch.join_processes(Config(), 'mpi')


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='counts the threads in /proc, which this system lacks')
@pytest.mark.parametrize(('ending', 'code'), [('success', 0), ('mistake', 2)])
def test_no_thread_of_the_group_outlives_a_tool(tmp_path: Path, ending: str, code: int) -> None:
    """A thread of gloo that lets go of its last object while the interpreter ends makes the process abort."""
    script = tmp_path / 'tool.py'
    script.write_text(_TOOL)
    group = dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    environment = dict(os.environ, PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='', **group)
    command = [sys.executable, script, ending]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == code, finished.stderr
    assert finished.stdout.splitlines()[-1] == '0 threads'


def test_a_launcher_that_is_unknown() -> None:
    for join in (lambda: launch.join_processes(Config(), 'torch'), lambda: launch.launched('torch')):
        with pytest.raises(UserError, match="launcher must be one of none, pytorch, slurm, mpi, got 'torch'"):
            join()
