"""Colour patches by their features: ``python tools/visualization/vis_patch_colors.py CHECKPOINT IMAGE [IMAGE ...]``.

Red, green and blue are three principal components of the patch features of all images together, as in DINOv2's paper:
parts that the backbone takes for similar have similar colours. The first component separates the foreground, unless
``--whole`` is given. ``--compare`` draws additional checkpoints beside the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_trained_options, figure_file, trained_options
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Colour patches by the principal components of their features')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file with --config')
    parser.add_argument('images', nargs='+', help='image files')
    add_trained_options(parser)
    parser.add_argument('--whole', action='store_true', help='colour the background too')
    parser.add_argument('--size', type=int, default=448, help='side of the central square in pixels (default: 448)')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/patch_colors.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmengine.registry import init_default_scope

    from mmssl.converters.trained import load_trained
    from mmssl.visualization.patch_colors import patch_color_figure, patch_features
    from mmssl.visualization.squares import read_squares
    from mmssl.visualization.style import save_figure

    features, pictures = {}, None
    for name, options in trained_options(args).items():
        cfg, model = load_trained(**options)
        init_default_scope(cfg.default_scope)
        images = read_squares(args.images, args.size, cfg)
        features[name] = patch_features(model.backbone, model.data_preprocessor.prepare(images))
        pictures = model.data_preprocessor.picture(images) if pictures is None else pictures
    save_figure(patch_color_figure(pictures, features, args.whole), args.out)
    print(f'{len(args.images)} images, {len(features)} checkpoints: {args.out}')


if __name__ == '__main__':
    main()
