"""Measure the steps of many recipes on this device, as a table: ``python tools/profiling/steps.py [RECIPE ...]``.

``make profile-gpu`` runs it for one recipe of every method in bfloat16, and writes the table into the documentation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmssl.cli.options import count, output_file, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure steps in several variants, augmentation, loading and scaling')
    parser.add_argument('recipes', nargs='*', help='names of recipes (default: one of every method for ImageNet)')
    parser.add_argument('--minutes', type=float, default=9, help='time after which nothing new begins (default: 9)')
    parser.add_argument('--batch-size', type=count, help="images per step (default: 64, or the recipe's if smaller)")
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], default='bfloat16', help='default: bfloat16')
    parser.add_argument('--repeats', type=int, default=3, help='number of measurements for the medians (default: 3)')
    parser.add_argument('--no-compile', action='store_true', help='do not compile blocks')
    parser.add_argument('--write', metavar='FILE', help='document that holds the table between two marks')
    parser.add_argument('--out', type=output_file, help='JSON file for the figures')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmengine.registry import init_default_scope

    from mmssl.profiling.device_table import default_recipes, measure_table, table_text, write_table

    init_default_scope('mmssl')
    figures = measure_table(
        args.recipes or default_recipes(),
        args.minutes,
        args.batch_size,
        None if args.dtype == 'float32' else args.dtype,
        args.repeats,
        not args.no_compile,
    )
    text = table_text(figures)
    print(text)
    if args.write:
        write_table(text, Path(args.write))
    write_json(figures, args.out)
    return figures


if __name__ == '__main__':
    main()
