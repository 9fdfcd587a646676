"""Draw the masks that a method draws for images: ``vis_masks.py CONFIG IMAGE [IMAGE ...]``; no checkpoint is needed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_config_options, figure_file, load_run
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw images and the parts of them that a masker chooses')
    add_config_options(parser)
    parser.add_argument('images', nargs='+', help='image files')
    parser.add_argument('--seed', type=int, default=0, help='seed of the masks (default: 0)')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/masks.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.registry import MASKERS, MODELS
    from mmssl.visualization.masks import mask_figure
    from mmssl.visualization.squares import read_squares
    from mmssl.visualization.style import save_figure

    cfg = load_run(args.config, args.cfg_options, data=False, needed=('model', 'train_dataloader'))
    if 'masker' not in cfg.model:
        raise UserError(f'{cfg.model.type} draws no masks: use a method that hides patches, such as MAE')
    images = read_squares(args.images, cfg.train_dataloader.dataset.views[0].size, cfg)
    pictures = MODELS.build(cfg.model.data_preprocessor).picture(images)
    save_figure(mask_figure(MASKERS.build(cfg.model.masker), pictures, args.seed), args.out)
    print(f'{len(images)} images: {args.out}')


if __name__ == '__main__':
    main()
