"""Draw images as bags of visual words: ``vis_words.py CHECKPOINT IMAGE [IMAGE ...]``.

For each image it draws the places of the words that the image holds most often, and patches of training images that
show what each of these words means.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmengine.registry import init_default_scope

from mmssl.cli.options import add_config_options, figure_file
from mmssl.cli.tool import tool
from mmssl.converters.trained import load_trained
from mmssl.registry import DATASETS
from mmssl.utils.errors import UserError
from mmssl.visualization.squares import read_squares
from mmssl.visualization.style import save_figure
from mmssl.visualization.word_bags import NUM_WORDS, word_bag_figure


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw images as bags of visual words')
    parser.add_argument('checkpoint', help='training checkpoint of BoWNet, such as epoch_N.pth')
    parser.add_argument('images', nargs='+', help='image files')
    add_config_options(parser, in_checkpoint=True)
    parser.add_argument('--num-words', type=int, default=4, help=f'words of an image, at most {NUM_WORDS} (default: 4)')
    parser.add_argument('--num-patches', type=int, default=8, help='patches of a word (default: 8)')
    parser.add_argument(
        '--num-bank', type=int, default=1000, help='training images in which patches are searched (default: 1000)'
    )
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/words.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if not 1 <= args.num_words <= NUM_WORDS or min(args.num_patches, args.num_bank) < 1:
        raise UserError(f'--num-words must be 1 to {NUM_WORDS}, --num-patches and --num-bank at least 1')
    cfg, model = load_trained(args.checkpoint, args.config, args.cfg_options, whole=True)
    target = getattr(model, 'target', None)
    if not hasattr(target, 'nearest_words'):
        raise UserError(f'{type(model).__name__} has no bags of visual words: give a checkpoint of BoWNet')
    try:
        target.load_network()  # which is not in the checkpoint
    except FileNotFoundError as error:
        raise UserError(
            f'the network of the words, {target.checkpoint}, does not exist: '
            'give its backbone file with --cfg-options model.target.checkpoint=FILE'
        ) from error
    init_default_scope(cfg.default_scope)
    plain = cfg.train_dataloader.dataset.views[-1]
    bank = DATASETS.build(cfg.train_dataloader.dataset).with_transform(plain)
    images = read_squares(args.images, plain.size)
    save_figure(word_bag_figure(model, images, bank, args.num_words, args.num_patches, args.num_bank), args.out)
    print(f'{len(images)} images: {args.out}')


if __name__ == '__main__':
    main()
