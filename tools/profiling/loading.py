"""Time whole, reduced and cached decoding, and compare the views: ``tools/profiling/loading.py [FOLDER]``.

Without a folder of your own images, mosaics of photographs in scikit-image are written first, 3000x2000 pixels.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmssl.cli.options import output_file, write_json
from mmssl.cli.tool import tool

HEAD = '| views, decoding | time per image | / whole | reduced | mean difference | 99 % within |'
LINE = '| {name} | {milliseconds:.2f} ms | {ratio:.2f} | {share:.0%} | {mean:.2f} | {percentile:.1f} |'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Time of decoding and cropping on one core, and differences of views')
    parser.add_argument('images', nargs='?', help='folder of images (default: mosaics of photographs)')
    parser.add_argument('--repeats', type=int, default=5, help='number of rounds for the medians')
    parser.add_argument('--most', type=int, default=64, help='largest number of images')
    parser.add_argument('--out', type=output_file, help='JSON file for the figures')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    args = parse_args(argv)
    import cv2
    import torch

    from mmssl.profiling.loading import measure_loading, write_mosaics

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(args.images or f'{scratch}/images')
        if args.images is None:
            images.mkdir()
            write_mosaics(images)
        results = measure_loading(str(images), f'{scratch}/decoded', args.repeats, args.most)
    print(f'{HEAD}\n|---|---|---|---|---|---|')
    for name, figures in results.items():
        print(LINE.format(name=name, **figures))
    write_json(results, args.out)
    return results


if __name__ == '__main__':
    main()
