"""The command ``mmssl``: the tools of the package in any folder, ``mmssl train RECIPE`` for ``tools/train.py``."""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from mmssl.utils.errors import did_you_mean
from mmssl.version import __version__

_TOOLS = Path(__file__).parent / '.mim' / 'tools'
_COMMANDS = {
    'train': ('train.py', 'pre-train a backbone, or train a model on one'),
    'test': ('test.py', 'evaluate a checkpoint on the test set of a recipe'),
    'features': ('extract_features.py', 'write the features of images'),
    'predict': ('predict.py', 'predict images with a classifier, detector or segmenter'),
    'convert': ('model_converters/convert.py', 'write a backbone in the format of another library'),
    'index': ('misc/index_images.py', 'list the images of tar shards or an LMDB once, for datasets of many images'),
    'recipes': ('misc/list_recipes.py', 'list the recipes'),
    'demo': ('demo.py', 'pre-train on photographs in minutes and show what changed'),
}
# Required arguments. A command without arguments prints them at once, before the slow imports.
_NEEDED = {
    'train': 'CONFIG',
    'test': 'CONFIG CHECKPOINT',
    'features': 'CONFIG CHECKPOINT --out FILE',
    'predict': 'CONFIG CHECKPOINT IMAGES ...',
    'convert': 'FILE OUT --to LIBRARY',
    'index': 'DATA_ROOT',
}
_SEVERAL_PROCESSES = ('train', 'test', 'features')


def main() -> None:
    """Runs the command that the first word names."""
    command, *argv = sys.argv[1:] or ['--help']
    if command in ('-h', '--help'):
        print(_help())
    elif command in ('-V', '--version'):
        print(__version__)
    elif command not in _COMMANDS:
        print(f'error: there is no command {command!r}{did_you_mean(command, _COMMANDS)}\n\n{_help()}', file=sys.stderr)
        sys.exit(2)
    elif command in _NEEDED and not argv:
        needed = f'mmssl {command} {_NEEDED[command]}'
        print(f'usage: {needed}\nmmssl {command} --help lists the options', file=sys.stderr)
        sys.exit(2)
    elif command in _SEVERAL_PROCESSES and (processes := _processes(argv)) is not None:
        _launch(command, *processes)
    else:
        sys.argv = [f'mmssl {command}', *argv]
        _load(command).main()


def _load(command: str) -> ModuleType:
    """Imports the tool of a command."""
    spec = spec_from_file_location(f'mmssl_{command}', _TOOLS / _COMMANDS[command][0])
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _help() -> str:
    lines = [f'  {command:<10}{summary}' for command, (_, summary) in _COMMANDS.items()]
    return '\n'.join(
        [
            'usage: mmssl COMMAND ...',
            '',
            *lines,
            '',
            'mmssl COMMAND --help lists the options of a command.',
            f'mmssl {"|".join(_SEVERAL_PROCESSES)} ... --gpus N starts N processes, one for each GPU, or on CPUs.',
        ]
    )


def _processes(argv: list[str]) -> tuple[str, list[str]] | None:
    """The value of ``--gpus`` and the other arguments; None without ``--gpus``."""
    for position, word in enumerate(argv):
        if word == '--gpus':
            return (argv[position + 1] if position + 1 < len(argv) else ''), argv[:position] + argv[position + 2 :]
        if word.startswith('--gpus='):
            return word.partition('=')[2], argv[:position] + argv[position + 1 :]
    return None


def _launch(command: str, number: str, argv: list[str]) -> None:
    """Starts several processes of a tool on this machine, as ``tools/torchrun.sh`` does."""
    if not number.isdigit() or int(number) < 1:
        print(f'error: --gpus takes the number of processes, 1 or more, got {number!r}', file=sys.stderr)
        sys.exit(2)
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // int(number))))
    from mmssl.distributed.torchrun import run

    tool = str(_TOOLS / _COMMANDS[command][0])
    sys.argv = ['torchrun', '--standalone', '--nproc-per-node', number, tool, *argv, '--launcher', 'pytorch']
    run()


if __name__ == '__main__':
    main()
