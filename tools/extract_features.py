"""Write the features of a dataset: ``python tools/extract_features.py CONFIG CHECKPOINT --out features.npz``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_amp_option, add_config_options
from mmssl.cli.tool import tool
from mmssl.distributed.launchers import LAUNCHERS


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the features of a dataset as .npy (vectors) or .npz')
    add_config_options(parser)
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file')
    parser.add_argument(
        '--out', required=True, help='.npy: vectors alone; .npz: vectors, names, labels, indices, classes'
    )
    parser.add_argument('--images', metavar='FOLDER', help='folder of images to use instead of those of the config')
    parser.add_argument('--data', choices=['val', 'test', 'bank'], help='images of the config to use (default: val)')
    add_amp_option(parser)
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='program that started this process')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from mmssl.apis.features import write_features  # after the arguments, because importing torch is slow

    features = write_features(
        args.config,
        args.checkpoint,
        args.out,
        images=args.images,
        data=args.data,
        amp=args.amp,
        cfg_options=args.cfg_options,
        launcher=args.launcher,
    )
    if features is not None:
        print(f'{len(features)} vectors of {features.vectors.shape[1]} dimensions: {args.out}')


if __name__ == '__main__':
    main()
