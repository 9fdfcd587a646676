"""Compare a recipe with other toolboxes: ``python tools/profiling/compare.py CONFIG [CONFIG ...] [--images]``.

A toolbox (lightly, solo-learn) need not be installed in the environment of mmssl: a folder of packages in
``PYTHONPATH`` is enough, see docs/howto/profiling.md. With ``--images`` every step reads and augments a batch of images
first, as a training does; without, all toolboxes train on the same views.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmssl.cli.options import count, load_run, output_file, write_json
from mmssl.cli.tool import tool

HEAD = '| recipe | images, largest view | mmssl | mmssl / toolbox [least most] | '
COLUMNS = {False: 'operators |\n|---|---|---|---|---|', True: 'data | data / toolbox |\n|---|---|---|---|---|---|'}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure the steps of recipes and of other toolboxes in turns')
    parser.add_argument(
        'configs', nargs='+', metavar='CONFIG', help='recipes of SimCLR, Barlow Twins, VICReg, DINO or MAE'
    )
    parser.add_argument('--batch-size', type=count, help="number of images of a step (default: the config's)")
    parser.add_argument('--repeats', type=int, default=5, help='number of measurements for the medians (default: 5)')
    parser.add_argument(
        '--images',
        nargs='?',
        const='',
        metavar='FOLDER',
        help='measure loading and augmentation, too, on images of this folder (without FOLDER: 130 files of '
        'photographs that scikit-image carries)',
    )
    parser.add_argument('--out', type=output_file, help='JSON file for the figures')
    return parser.parse_args(argv)


def rows(config: str, figures: dict[str, Any]) -> list[str]:
    """Returns the rows of the Markdown table for one recipe."""
    shown = []
    for name, found in figures['ratios'].items():
        cells: tuple[str, ...] = (
            f'`{config}`',
            f'{figures["batch_size"]}, {figures["views"][0]} px',
            f'{figures["seconds"]["mmssl"]:.3g} s',
            _ratio(name, *found),
        )
        if figures['data_ratios']:
            cells += f'{figures["data_seconds"]["mmssl"]:.3g} s', _ratio(name, *figures['data_ratios'][name])
        else:
            cells += (f'{figures["operators"]["mmssl"]} / {figures["operators"][name]}',)
        shown.append('| ' + ' | '.join(cells) + ' |')
    empty = '| |' if figures['data_seconds'] else '|'
    shown += [f'| `{config}` | | | {name}: not installed | {empty}' for name in figures['missing']]
    return shown


def _ratio(name: str, median: float, least: float, most: float) -> str:
    return f'{name}: {median:.2f} [{least:.2f} {most:.2f}]'


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.profiling.augmentation import write_photographs
    from mmssl.profiling.peers import compare_steps

    print(HEAD + COLUMNS[args.images is not None])
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        if args.images == '':
            write_photographs(Path(scratch), copies=26)
            args.images = scratch
        for config in args.configs:
            figures = compare_steps(load_run(config, data=False), args.batch_size, args.repeats, args.images)
            found[config] = figures
            print('\n'.join(rows(config.rpartition('/')[2].removesuffix('.py'), figures)), flush=True)
    write_json(found, args.out)
    return found


if __name__ == '__main__':
    main()
