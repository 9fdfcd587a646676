"""List the recipes in the package: ``python tools/misc/list_recipes.py 'mae*' --dataset in1k``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.tool import tool
from mmssl.config.recipes import recipes, select_recipes
from mmssl.utils.errors import UserError, did_you_mean


def _no_recipe(pattern: str, dataset: str | None) -> str:
    """Returns the message for a pattern that no recipe matches."""
    wanted = f'no recipe matches {pattern!r}' + (f' with the dataset {dataset!r}' if dataset else '')
    longer = f'*{pattern.strip("*")}*'
    if found := select_recipes(longer):
        return f'{wanted}; {len(found)} recipes match {longer!r}' + (' with any dataset' if dataset else '')
    methods = {name.partition('_')[0] for name in recipes()}
    hint = did_you_mean(pattern.strip('*').partition('_')[0], methods)
    return wanted + (hint or '; list all names with: mmssl recipes')


@tool
def main(argv: Sequence[str] | None = None) -> list[str]:
    parser = argparse.ArgumentParser(
        description='List the recipes, whose names every tool accepts instead of config files'
    )
    parser.add_argument('pattern', nargs='?', default='*', help="pattern for the name, such as 'mae*' (default: all)")
    parser.add_argument('--dataset', metavar='PATTERN', help="pattern for the dataset, such as in1k, or 'coco*'")
    parser.add_argument('--paths', action='store_true', help='print the paths of the files')
    args = parser.parse_args(argv)
    names = select_recipes(args.pattern, args.dataset)
    if not names:
        raise UserError(_no_recipe(args.pattern, args.dataset))
    for name in names:
        print(recipes()[name] if args.paths else name)
    return names


if __name__ == '__main__':
    main()
