"""List the recipes that the package carries: ``python tools/misc/list_recipes.py 'mae*' --dataset in1k``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.config.recipes import recipes, select_recipes


def main(argv: Sequence[str] | None = None) -> list[str]:
    parser = argparse.ArgumentParser(description='List the recipes, whose names stand for config files everywhere')
    parser.add_argument('pattern', nargs='?', default='*', help="such as 'mae*' (default: all)")
    parser.add_argument('--dataset', metavar='PATTERN', help="such as in1k, or 'coco*'")
    parser.add_argument('--paths', action='store_true', help='print the paths of the files')
    args = parser.parse_args(argv)
    names = select_recipes(args.pattern, args.dataset)
    for name in names:
        print(recipes()[name] if args.paths else name)
    return names


if __name__ == '__main__':
    main()
