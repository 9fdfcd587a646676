"""Time two views on one CPU core, compared with torchvision on PIL: ``tools/profiling/augmentation.py [FOLDER]``.

Without a folder of your own images, the photographs in scikit-image are first written as 500x375 JPEGs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmssl.cli.options import count, output_file, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Time of decoding, cropping and colours on one core')
    parser.add_argument('images', nargs='?', help='folder of images (default: photographs at 500x375)')
    parser.add_argument('--batch-size', type=count, default=64, help='number of image pairs in one measurement')
    parser.add_argument('--repeats', type=int, default=7, help='number of measurements for the medians')
    parser.add_argument('--out', type=output_file, help='JSON file for the figures')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    import torch

    from mmssl.profiling.augmentation import measure_augmentation, write_photographs

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        if args.images is None:
            write_photographs(Path(scratch))
        results = measure_augmentation(Path(args.images or scratch), args.batch_size, args.repeats)
    for name, value in results.items():
        print(f'{name.replace("_", " ")}: {value:.3g}')
    write_json(results, args.out)
    return results


if __name__ == '__main__':
    main()
