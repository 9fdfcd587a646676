"""List the images of tar shards or an LMDB into files that a training maps: ``index_images.py DATA_ROOT``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from mmssl.cli.options import whole_number
from mmssl.cli.tool import tool

_SECONDS_BETWEEN_LINES = 10.0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='List the images of tar shards or an LMDB once, not at every start')
    parser.add_argument('data_root', help='folder or pattern of .tar files, address such as s3://bucket, or LMDB')
    parser.add_argument('--out', metavar='FOLDER', help='folder of the index (default: mmssl_index beside the images)')
    parser.add_argument(
        '--labels', metavar='FILE', help='.npy with a class number per image, in the order of the index (-1: none)'
    )
    parser.add_argument('--jobs', type=whole_number, help='number of processes (default: one per core)')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from mmssl.datasets.make_index import write_index  # after the arguments, because importing torch is slow

    start = last = time.monotonic()

    def show(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    index = write_index(args.data_root, args.out, args.labels, args.jobs, show)
    seconds = time.monotonic() - start
    print(f'{len(index)} images in {len(index.shards)} shards, {seconds:.1f} s: {index.folder}')


if __name__ == '__main__':
    main()
