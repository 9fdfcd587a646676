"""The launch scripts start torchrun with the right processes, nodes and arguments."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with only ``PATH``, ``HOME`` and ``environment`` set."""
    inherited = {key: os.environ[key] for key in ('PATH', 'HOME') if key in os.environ}
    return subprocess.run(
        ['bash', f'tools/{script}', *arguments], cwd=ROOT, env=inherited | environment, capture_output=True, text=True
    )


def command(script: str, *arguments: str, **environment: str) -> str:
    """Returns the Python command that a script would run."""
    return run(script, *arguments, PYTHON='echo', **environment).stdout.strip()


def test_training_on_one_node_needs_no_port() -> None:
    assert command('dist_train.sh', 'c.py', '2', '--amp', 'bf16') == (
        '-m mmssl.distributed.torchrun --standalone --nproc-per-node 2 '
        'tools/train.py c.py --amp bf16 --launcher pytorch'
    )


def test_testing_on_the_second_of_two_nodes() -> None:
    nodes = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='1234')
    assert command('dist_test.sh', 'c.py', 'x.pth', '8', **nodes) == (
        '-m mmssl.distributed.torchrun --nnodes 2 --node-rank 1 --master-addr 10.0.0.1 --master-port 1234 '
        '--nproc-per-node 8 tools/test.py c.py x.pth --launcher pytorch'
    )


def test_processes_may_be_started_again() -> None:
    assert '--standalone --max-restarts 3 --nproc-per-node 2' in command('dist_train.sh', 'c.py', '2', MAX_RESTARTS='3')
    nodes = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='1234')
    assert '--nnodes 2 --rdzv-backend c10d --rdzv-endpoint 10.0.0.1:1234 --rdzv-id mmssl-1234 --max-restarts 3' in (
        command('dist_train.sh', 'c.py', '2', MAX_RESTARTS='3', **nodes)
    )


def test_a_word_with_spaces_stays_one_argument(tmp_path: Path) -> None:
    python = tmp_path / 'python'
    python.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    assert 'a b' in run('dist_train.sh', 'c.py', '1', 'a b', PYTHON=str(python)).stdout.splitlines()


@pytest.mark.parametrize(
    ('script', 'arguments'),
    [('dist_train.sh', ['c.py']), ('dist_test.sh', ['c.py', 'x.pth']), ('slurm_train.sh', ['part', 'job'])],
)
def test_a_missing_argument_prints_the_usage(script: str, arguments: list[str]) -> None:
    finished = run(script, *arguments)
    assert finished.returncode != 0 and f'usage: tools/{script}' in finished.stderr


@pytest.mark.parametrize('number', ['0', '-1', 'all'])
def test_a_number_of_processes_that_is_none(number: str) -> None:
    finished = run('dist_train.sh', 'c.py', number)
    assert finished.returncode == 2
    assert finished.stderr == f"error: the number of processes must be 1 or more, got '{number}'\n"


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        finished = run('dist_train.sh', 'c.py', '1', PORT=str(taken.getsockname()[1]), PYTHON=sys.executable)
    assert finished.returncode == 2 and 'Traceback' not in finished.stderr
    assert 'error: the port is in use by another program; give a free port with PORT=NUMBER' in finished.stderr


def test_slurm_starts_one_task_on_each_node(tmp_path: Path) -> None:
    stand_ins = {
        'srun': 'echo "$@" | head -n 1 >&2; while [[ $1 == --* ]]; do shift; done; SLURM_NODEID=1 "$@"',
        'scontrol': 'printf "first\\nsecond\\n"',
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f'#!/usr/bin/env bash\n{text}\n')
        (tmp_path / name).chmod(0o755)
    finished = run(
        'slurm_train.sh', 'part', 'job', 'c.py', '--seed', '3',
        PATH=f'{tmp_path}:{os.environ["PATH"]}', PYTHON='echo', GPUS='16', SRUN_ARGS='--qos=high --time=60',
        REQUEUE='1', SLURM_JOB_NODELIST='first,second',
    )  # fmt: skip
    for option in (
        '--partition=part',
        '--nodes=2',
        '--gres=gpu:8',
        '--cpus-per-task=40',
        '--requeue --signal=TERM@120 --qos=high --time=60',
    ):
        assert option in finished.stderr
    assert finished.stdout.strip() == (
        '-m mmssl.distributed.torchrun --nnodes 2 --node-rank 1 --master-addr first --master-port 29500 '
        '--nproc-per-node 8 tools/train.py c.py --seed 3 --launcher pytorch'
    )


def test_processes_of_the_script_find_each_other(tmp_path: Path) -> None:
    tool = tmp_path / 'tool.py'
    tool.write_text(
        'import os, pathlib, sys, torch.distributed as dist\n'
        "dist.init_process_group('gloo')\n"
        'seen = f\'{dist.get_world_size()} {os.environ["OMP_NUM_THREADS"]} {sys.argv[1:]}\'\n'
        "pathlib.Path(__file__).with_name(f'rank{dist.get_rank()}').write_text(seen)\n"
        'dist.destroy_process_group()\n'
    )
    finished = run('torchrun.sh', str(tool), '2', PYTHON=sys.executable, OMP_NUM_THREADS='1')
    assert finished.returncode == 0, finished.stderr
    assert [(tmp_path / f'rank{rank}').read_text() for rank in range(2)] == ["2 1 ['--launcher', 'pytorch']"] * 2


def test_the_message_of_a_process_that_failed_is_not_buried(tmp_path: Path) -> None:
    tool = tmp_path / 'tool.py'
    tool.write_text("import sys\nprint('error: there is no such folder', file=sys.stderr)\nsys.exit(2)\n")
    finished = run('torchrun.sh', str(tool), '1', PYTHON=sys.executable, OMP_NUM_THREADS='1')
    assert finished.returncode == 2
    assert 'error: there is no such folder' in finished.stderr and 'Traceback' not in finished.stderr
