"""Draw attention maps of backbones: ``python tools/visualization/vis_attention.py CHECKPOINT IMAGE [IMAGE ...]``.

Convolutional networks: the response of the last stage, and Grad-CAM for the similarity with the image's own embedding
or with the embedding of ``--reference``. Vision transformers: the class token's attention per head in the last block,
and attention rollout. ``--compare`` draws additional checkpoints beside the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmengine.registry import init_default_scope

from mmssl.cli.options import add_trained_options, figure_file, trained_options
from mmssl.cli.tool import tool
from mmssl.converters.trained import load_trained
from mmssl.visualization.attention import CNN_KINDS, VIT_KINDS, attention_figure, attention_maps
from mmssl.visualization.squares import read_squares
from mmssl.visualization.style import save_figure


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw attention maps of backbones')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file with --config')
    parser.add_argument('images', nargs='+', help='image files')
    add_trained_options(parser)
    parser.add_argument(
        '--kinds', nargs='+', choices=CNN_KINDS + VIT_KINDS, default=[], help='maps to draw (default: all)'
    )
    parser.add_argument('--reference', help='image whose embedding is the reference of the kind similarity')
    parser.add_argument('--size', type=int, default=224, help='side of the central square in pixels (default: 224)')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/attention.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    maps, pictures = {}, None
    for name, options in trained_options(args).items():
        cfg, model = load_trained(**options)
        init_default_scope(cfg.default_scope)
        preprocessor = model.data_preprocessor
        images = read_squares(args.images, args.size, cfg)
        compared = args.reference and preprocessor.prepare(read_squares([args.reference], args.size, cfg))
        maps[name] = attention_maps(model.backbone, preprocessor.prepare(images), args.kinds, compared)
        pictures = preprocessor.picture(images) if pictures is None else pictures
    save_figure(attention_figure(pictures, maps), args.out)
    print(f'{len(args.images)} images, {len(maps)} checkpoints: {args.out}')


if __name__ == '__main__':
    main()
