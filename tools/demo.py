"""Pre-train on photo patches, or on your own folder of images, in minutes: ``python tools/demo.py``.

``--method`` also takes the recipe of a pre-training, of the package or your own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from mmssl.demo.run import Outcome

CONFIGS = Path(__file__).parents[1] / 'configs' / 'demo'


def demos() -> list[str]:
    """Returns the names of the demos."""
    return sorted(path.stem.removesuffix('_photos') for path in CONFIGS.glob('*_photos.py'))


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Pre-train a small backbone and show what it has learnt')
    parser.add_argument(
        '--method',
        metavar='NAME',
        default='simclr',
        help=f'{", ".join(demos())} (default: simclr); or a config of a pre-training, as a file or a name',
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument('--epochs', type=int, help='length of the pre-training; default: about five minutes')
    length.add_argument('--minutes', type=float, help='length of the pre-training on an idle machine, by estimate')
    length.add_argument('--full', action='store_true', help='the length of the recipe, however long it takes')
    parser.add_argument('--seed', type=int, default=0, help='seed of weights, order and augmentation')
    parser.add_argument('--data', help='folder of images; with class folders inside, accuracies are reported too')
    parser.add_argument('--work-dir', default='work_dirs/demo', help='folder for the report, logs and checkpoints')
    return parser.parse_args(argv)


def find_method(name: str) -> Path:
    """Returns the config of a demo, or of a recipe.

    Raises:
        UserError: There is neither.
    """
    from mmssl.config.recipes import find_config, recipes

    if name in demos():
        return CONFIGS / f'{name}_photos.py'
    if Path(name).is_file() or Path(name).parent != Path() or name.removesuffix('.py') in recipes():
        return find_config(name)
    raise UserError(f'there is no demo and no recipe {name!r}{did_you_mean(name, [*demos(), *recipes()])}')


def show(outcome: Outcome) -> None:
    """Prints the table and the path of the report."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if outcome.table:
        head, *rows = outcome.table
        table = Table(title='Accuracy of frozen features on test images')
        for position, title in enumerate(head):
            table.add_column(title, justify='right' if position else 'left')
        for row in rows:
            table.add_row(*row, style='bold' if row is rows[-1] else None)
        console.print(table)
    console.print(f'Pre-trained in {outcome.minutes:.1f} minutes. Figures: {outcome.report}', soft_wrap=True)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.registry import init_default_scope  # after the arguments, because importing torch is slow

    from mmssl.config.check import check_config
    from mmssl.config.load import load_config
    from mmssl.demo import run as demo
    from mmssl.engine.stages import Stage, read_stages

    path = find_method(args.method)
    cfg = load_config(path)
    stages = read_stages(path) if 'stages' in cfg else [Stage('training', cfg, takes={}, leaves={})]
    if (last := [stage.config for stage in stages if stage.trains][-1:]) and not demo.evaluates_features(last[0]):
        raise UserError(f'{args.method} does not evaluate frozen features: choose the recipe of a pre-training')
    for name in ('epochs', 'minutes'):
        if (value := getattr(args, name)) is not None and not 0 < value < float('inf'):
            raise UserError(f'--{name} must be {"finite" if value > 0 else "above 0"}, got {value}')
    init_default_scope(cfg.default_scope)
    for stage in stages:
        if args.data:
            demo.use_folder(stage.config, args.data)
        seeded = stage.config.randomness if stage.trains else stage.config.step
        seeded.seed += args.seed
        if len(stages) == 1:
            check_config(stage.config)
    show(demo.run(stages, args.work_dir, demo.Length(args.epochs, args.minutes, args.full)))


if __name__ == '__main__':
    main()
