"""Compare the step of a recipe with other toolboxes: ``python tools/profiling/compare.py CONFIG [CONFIG ...]``.

A toolbox (lightly, solo-learn) need not be installed in the environment of mmssl: a folder of packages in
``PYTHONPATH`` is enough, see docs/howto/profiling.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmssl.cli.options import load_run, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure the steps of recipes and of other toolboxes in turns')
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='recipes of SimCLR, Barlow Twins or MAE')
    parser.add_argument('--batch-size', type=int, help="number of images of a step (default: the config's)")
    parser.add_argument('--repeats', type=int, default=5, help='number of measurements for the medians (default: 5)')
    parser.add_argument('--out', help='JSON file for the figures')
    return parser.parse_args(argv)


def rows(config: str, figures: dict[str, Any]) -> list[str]:
    """Returns the rows of the Markdown table for one recipe."""
    shown = []
    for name, (median, least, most) in figures['ratios'].items():
        cells = (
            f'`{config}`',
            f'{figures["batch_size"]}, {figures["views"][0]} px',
            f'{figures["seconds"]["mmssl"]:.3g} s',
            f'{name}: {median:.2f} [{least:.2f} {most:.2f}]',
            f'{figures["operators"]["mmssl"]} / {figures["operators"][name]}',
        )
        shown.append('| ' + ' | '.join(cells) + ' |')
    shown += [f'| `{config}` | | | {name}: not installed | |' for name in figures['missing']]
    return shown


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.profiling.peers import compare_steps

    print('| recipe | images, largest view | mmssl | mmssl / toolbox [least most] | operators |\n|---|---|---|---|---|')
    found = {}
    for config in args.configs:
        figures = compare_steps(load_run(config, data=False), args.batch_size, args.repeats)
        found[config] = figures
        print('\n'.join(rows(config.rpartition('/')[2].removesuffix('.py'), figures)), flush=True)
    write_json(found, args.out)
    return found


if __name__ == '__main__':
    main()
