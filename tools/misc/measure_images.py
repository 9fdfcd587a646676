"""Measure value range, mean and deviation of the bands of a folder: ``measure_images.py FOLDER --bands 13 --out FILE``.

The file is read by datasets (``value_range='FILE'``) and by the data preprocessor (``statistics='FILE'``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from mmssl.cli.options import output_file, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure value range, mean and deviation of each band of a folder')
    parser.add_argument('folder', help='folder of images: TIFF, .npy, DICOM and the usual formats')
    parser.add_argument(
        '--bands', type=int, nargs='+', required=True, help='number of bands, or the indices of several bands to take'
    )
    parser.add_argument('--out', type=output_file, help='JSON file to write')
    parser.add_argument(
        '--percentiles', type=float, nargs=2, default=(0.1, 99.9), help='percentiles that become black and white'
    )
    parser.add_argument('--max-images', type=int, default=1000, help='largest number of images to read')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.datasets.measure import measure_images

    bands = args.bands[0] if len(args.bands) == 1 else args.bands
    found = measure_images(args.folder, bands, tuple(args.percentiles), args.max_images)
    write_json(found, args.out)
    print(json.dumps(found, indent=2))


if __name__ == '__main__':
    main()
