"""Measure index, start-up and memory with many images: ``data_scale.py --kind tar --images 10000000``.

It writes real small images into a scratch folder (about 1 kB each in tar files, 0.6 kB in an LMDB), and removes them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmssl.cli.options import output_file, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Time and memory of datasets with many images')
    parser.add_argument('--kind', choices=['tar', 'lmdb'], default='tar', help='format of the images')
    parser.add_argument('--data', help='images to measure; they stay (default: small ones that are written)')
    parser.add_argument('--images', type=int, default=1_000_000, help='number of images')
    parser.add_argument('--links', type=int, default=1, help='names of each tar file (hard links), to save disk')
    parser.add_argument('--jobs', type=int, default=2, help='processes that make the index; 0: none is made')
    parser.add_argument('--workers', type=int, default=2, help='workers that read')
    parser.add_argument('--batches', type=int, default=100, help='batches of 256 images to read')
    parser.add_argument('--window', type=int, help='window of the order (default: all images are shuffled)')
    parser.add_argument('--scratch', help='folder in which the images are written (default: the system chooses)')
    parser.add_argument('--out', type=output_file, help='JSON file for the figures')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    from mmssl.profiling.data_scale import measure_dataset, measure_index, write_lmdb, write_tar_shards

    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        data = args.data or f'{folder}/images'
        if args.data is None and args.kind == 'tar':
            write_tar_shards(Path(data), args.images, args.links)
        elif args.data is None:
            write_lmdb(Path(data), args.images)
        if args.jobs:
            results.update({f'index_{name}': value for name, value in measure_index(data, args.jobs).items()})
        results.update(measure_dataset(args.kind, data, args.window, args.workers, args.batches))
    for name, value in results.items():
        print(f'{name.replace("_", " ")}: {value:.4g}')
    write_json(results, args.out)
    return results


if __name__ == '__main__':
    main()
