"""List the recipes in the package: ``python tools/misc/list_recipes.py 'mae*' --dataset in1k``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.config.recipes import recipes, select_recipes


def main(argv: Sequence[str] | None = None) -> list[str]:
    parser = argparse.ArgumentParser(
        description='List the recipes, whose names every tool accepts instead of config files'
    )
    parser.add_argument('pattern', nargs='?', default='*', help="pattern for the name, such as 'mae*' (default: all)")
    parser.add_argument('--dataset', metavar='PATTERN', help="pattern for the dataset, such as in1k, or 'coco*'")
    parser.add_argument('--paths', action='store_true', help='print the paths of the files')
    args = parser.parse_args(argv)
    names = select_recipes(args.pattern, args.dataset)
    for name in names:
        print(recipes()[name] if args.paths else name)
    return names


if __name__ == '__main__':
    main()
