"""A Python that has imported nothing of mmssl, without the seconds that torch takes: it is forked from one that has.

``run_python`` is ``subprocess.run([sys.executable, ...])`` for tests that start a tool or ask what is imported. What is
asked about must not be among ``LIBRARIES`` nor imported by them. Three things differ from a new interpreter: variables
that the libraries read while they are imported, such as ``OMP_NUM_THREADS``, have no effect, the standard input is
empty, and functions registered with ``atexit`` are not called.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
LIBRARIES = ('torch', 'torchvision', 'torch.distributed.run', 'timm', 'mmengine.runner')


def run_python(
    *command: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs what ``python *command`` runs: ``-c CODE``, ``-m MODULE`` or a script, and arguments.

    Args:
        *command: Words of the command line.
        cwd: Working directory.
        env: All environment variables, those of this process if None.
        timeout: Seconds until it is ended.
    """
    words = [str(word) for word in command]
    parent = _parent()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ('out', 'err')]
        request = dict(words=words, cwd=str(cwd), env=dict(os.environ if env is None else env), files=files)
        parent.stdin.write(json.dumps(request, default=str) + '\n')
        parent.stdin.flush()
        if not select.select([parent.stdout], [], [], timeout)[0]:
            _end(parent)
            raise subprocess.TimeoutExpired(words, timeout)
        code = parent.stdout.readline()
        if not code:
            _end(parent)
            raise RuntimeError(f'the process that runs {words[0]} has ended: see its message')
        return subprocess.CompletedProcess(words, int(code), *(file.read_text() for file in files))


@functools.cache
def _parent() -> subprocess.Popen[str]:
    """The process that has imported the libraries and forks."""
    options: Any = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    parent = subprocess.Popen([sys.executable, '-m', __name__], cwd=ROOT, **options)
    atexit.register(_end, parent)
    return parent


def _end(parent: subprocess.Popen[str]) -> None:
    """Ends the process and its children; the next call starts another one."""
    if parent.poll() is None:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
    _parent.cache_clear()


def _serve() -> None:
    """Imports the libraries and forks a process for every line of the standard input."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        process = get_context('fork').Process(target=_run, kwargs=json.loads(line))
        process.start()
        process.join()
        print(process.exitcode, flush=True)


def _run(words: list[str], cwd: str, env: dict[str, str], files: list[str]) -> None:
    """Takes over this process as a new interpreter would begin."""
    own = os.environ.get('PYTHONPATH', '').split(os.pathsep)
    libraries = [folder for folder in sys.path[1:] if folder not in own]
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, file in enumerate([os.devnull, *files]):
        descriptor = os.open(file, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    if words[0] in ('-c', '-m'):
        (option, target), sys.argv = words[:2], [words[0], *words[2:]]
        first = '' if option == '-c' else cwd
    else:
        option, target, sys.argv = 'script', words[0], words
        first = str(Path(target).resolve().parent)
    given = [folder for folder in env.get('PYTHONPATH', '').split(os.pathsep) if folder]
    sys.path[:] = [first, *given, *libraries]
    if option == '-c':
        sys.modules['__main__'] = main = ModuleType('__main__')
        exec(compile(target, '<string>', 'exec'), vars(main))
    elif option == '-m':
        runpy.run_module(target, run_name='__main__', alter_sys=True)
    else:
        runpy.run_path(target, run_name='__main__')


if __name__ == '__main__':
    _serve()
