"""Draw reconstructions of masked models: ``vis_reconstruction.py CONFIG CHECKPOINT IMAGE [IMAGE ...]``.

For each image it draws the image, its visible patches, the reconstruction, and the visible patches together with the
reconstructed hidden patches. A model with a pyramid has one row per level.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmssl.cli.options import add_config_options, figure_file
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw images and their reconstruction by a masked model')
    add_config_options(parser)
    parser.add_argument('checkpoint', help='training checkpoint, such as epoch_N.pth')
    parser.add_argument('images', nargs='+', help='image files')
    parser.add_argument('--seed', type=int, default=0, help='seed of the masks (default: 0)')
    parser.add_argument('--size', type=int, help='side of the central square in pixels (default: that of training)')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/reconstruction.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


def training_size(cfg: Config) -> int | None:
    """Returns the side of the first view in pixels; None if the training set has no views."""
    views = cfg.get('train_dataloader', {}).get('dataset', {}).get('views')
    return views[0].get('size') if views else None


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmengine.registry import init_default_scope

    from mmssl.converters.trained import load_trained
    from mmssl.visualization.reconstruction import check_reconstructs, reconstruction_figure
    from mmssl.visualization.squares import read_squares
    from mmssl.visualization.style import save_figure

    cfg, model = load_trained(args.checkpoint, args.config, args.cfg_options, whole=True)
    init_default_scope(cfg.default_scope)
    check_reconstructs(model)
    trained = training_size(cfg)
    size = trained if args.size is None else args.size
    if size is None:
        raise UserError('the config has no training view to take the size from: give --size')
    images = read_squares(args.images, size, cfg)
    try:
        figure = reconstruction_figure(model, images, args.seed)
    except RuntimeError as error:
        if size == trained:
            raise
        raise UserError(
            f'{type(model).__name__} does not take images of {size} pixels, it was trained with {trained}: {error}'
        ) from error
    save_figure(figure, args.out)
    print(f'{len(images)} images: {args.out}')


if __name__ == '__main__':
    main()
