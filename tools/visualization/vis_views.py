"""Draw what a method compares in two views of training images: ``vis_views.py CHECKPOINT``.

DenseCL: the positions that it matches, green where the crops say so too. ReSim: windows and the same regions in the
other view. CAST: salient parts, crops around them, and where the network looks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_config_options, figure_file
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw what a method compares in two views')
    parser.add_argument('checkpoint', help='training checkpoint, such as epoch_N.pth')
    add_config_options(parser, in_checkpoint=True)
    parser.add_argument('--num-images', type=int, default=8, help='images, evenly spread (default: 8)')
    parser.add_argument('--epoch', type=int, default=0, help='epoch that selects crops and colours (default: 0)')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/views.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmengine.registry import init_default_scope

    from mmssl.converters.trained import load_trained
    from mmssl.registry import DATASETS
    from mmssl.visualization.compared_views import compared_views_figure
    from mmssl.visualization.style import save_figure, spread

    if args.num_images < 1 or args.epoch < 0:
        raise UserError(f'--num-images {args.num_images} must be at least 1 and --epoch {args.epoch} at least 0')
    cfg, model = load_trained(args.checkpoint, args.config, args.cfg_options, whole=True)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    indices = spread(len(dataset), args.num_images).tolist()
    save_figure(compared_views_figure(model, dataset, indices, args.epoch), args.out)
    print(f'{len(indices)} images: {args.out}')


if __name__ == '__main__':
    main()
