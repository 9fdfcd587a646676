"""Draw the views of a training set as the model gets them: ``python tools/visualization/browse_dataset.py CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmssl.cli.options import add_config_options, figure_file, load_run
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw training images and their augmented views')
    add_config_options(parser)
    parser.add_argument('--out', type=figure_file, help='PNG to write (default: work_dirs/<config name>/views.png)')
    parser.add_argument(
        '--num-images', type=int, default=8, help='number of images to draw, evenly spaced (default: 8)'
    )
    parser.add_argument('--epoch', type=int, default=0, help='epoch whose crops and colours are drawn')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.config.load import drop_evaluations
    from mmssl.registry import DATASETS, MODELS
    from mmssl.visualization.augmented_views import augmented_views

    cfg = load_run(args.config, args.cfg_options, drop_evaluations, needed=('model', 'train_dataloader'))
    if cfg.default_scope != 'mmssl':
        raise UserError(f'a training set of {cfg.default_scope} has no views: give a config of a pre-training')
    if args.num_images < 1 or args.epoch < 0:
        raise UserError(f'--num-images {args.num_images} must be at least 1 and --epoch {args.epoch} at least 0')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if dataset.seed is None:
        dataset.seed = (cfg.get('randomness') or {}).get('seed') or 0
    count = min(args.num_images, len(dataset))
    indices = [number * len(dataset) // count for number in range(count)]
    preprocessor, method = MODELS.build(cfg.model.data_preprocessor), MODELS.get(cfg.model.type)
    figure = augmented_views(dataset, preprocessor, indices, args.epoch, method.shown_views)
    out = Path(args.out or Path('work_dirs') / Path(args.config).stem / 'views.png')
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    print(f'{count} of {len(dataset)} images: {out}')


if __name__ == '__main__':
    main()
