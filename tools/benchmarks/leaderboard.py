"""Train every method on the same images with one budget: ``python tools/benchmarks/leaderboard.py``.

Writes ``leaderboard.md``, ``leaderboard.json`` and ``leaderboard.png`` after every run. A table that was stopped
continues with the next run when called again, and keeps its rows when called for other methods or seeds. Exit code 1
means that a run failed; the others are still made.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from mmssl.demo.leaderboard import Run

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'demo'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train methods on the same images with one budget, and rank them')
    parser.add_argument(
        '--methods', nargs='+', metavar='NAME', help='demos, or configs as in tools/demo.py (default: all demos)'
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], help='default: 0 1 2')
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument('--minutes', type=float, default=5, help='budget of a run on an idle machine (default: 5)')
    budget.add_argument('--epochs', type=int, help='budget of each training of a run in epochs')
    budget.add_argument('--full', action='store_true', help='the length of each recipe: about five minutes')
    parser.add_argument('--data', help='folder of class folders (default: the patches of photographs of the demo)')
    parser.add_argument('--work-dir', default='work_dirs/leaderboard', help='default: work_dirs/leaderboard')
    return parser.parse_args(argv)


def write(runs: list[Run], work_dir: Path, command: str) -> None:
    """Writes the table as Markdown and JSON, and the figure."""
    from mmssl.demo.leaderboard import as_markdown, entries, save_chart

    (work_dir / 'leaderboard.md').write_text(as_markdown(runs, command))
    content = dict(command=command, entries=[vars(row) for row in entries(runs)], runs=[vars(run) for run in runs])
    (work_dir / 'leaderboard.json').write_text(json.dumps(content, indent=2) + '\n')
    save_chart(runs, work_dir / 'leaderboard.png')


def chosen(given: Sequence[str], demos: Sequence[str]) -> list[str]:
    """Returns the methods that were given, each once: names of demos and recipes, and files with their whole path.

    Raises:
        UserError: There is no demo and no recipe of a name, or two files have the same name.
    """
    from mmssl.config.recipes import recipes

    files: dict[str, str] = {}
    for name in dict.fromkeys(given):
        if name in demos or name in recipes():
            method = name
        elif Path(name).is_file():
            method = str(Path(name).resolve())
        else:
            hint = did_you_mean(name, [*demos, *recipes()])
            raise UserError(f'there is no demo, recipe or file {name!r}{hint}; demos: {", ".join(demos)}')
        if files.setdefault(Path(method).name.removesuffix('.py'), method) != method:
            raise UserError(f'{name} and {files[Path(name).stem]} have the same name in the table: rename one')
    return list(files.values())


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.datasets.image_files import find_images
    from mmssl.demo.leaderboard import Leaderboard

    offered = sorted(path.stem.removesuffix('_photos') for path in CONFIGS.glob('*_photos.py'))
    for name in ('epochs', 'minutes'):
        if (value := getattr(args, name)) is not None and not 0 < value < float('inf'):
            raise UserError(f'--{name} must be {"finite" if value > 0 else "above 0"}, got {value}')
    methods = chosen(args.methods or offered, offered)
    options = ['--minutes', f'{args.minutes:g}']
    if args.full:
        options = ['--full']
    elif args.epochs is not None:
        options = ['--epochs', str(args.epochs)]
    if args.data:
        names = list(find_images(args.data))
        classes, beside = {name.split('/')[0] for name in names if '/' in name}, sum('/' not in name for name in names)
        if len(classes) < 2 or beside:
            raise UserError(
                f'{args.data} has {len(classes)} class folders with images, and {beside} images beside them: '
                'to compare accuracies, put all images into two class folders or more'
            )
        options += ['--data', str(Path(args.data).resolve())]
    work_dir = Path(args.work_dir).resolve()
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(['python', 'tools/benchmarks/leaderboard.py', *words])
    seeds = list(dict.fromkeys(args.seeds))  # each once
    leaderboard = Leaderboard(methods, options, work_dir, ROOT / 'tools' / 'demo.py')
    runs = leaderboard.run(seeds, lambda runs: write(runs, work_dir, command))
    print((work_dir / 'leaderboard.md').read_text())
    print(f'leaderboard.md, leaderboard.json and leaderboard.png are in {work_dir}')
    sys.exit(1 if any(run.error for run in runs) else 0)


if __name__ == '__main__':
    main()
