"""Predict images: ``python tools/predict.py CONFIG CHECKPOINT photos/ --out predictions/``.

It predicts with classifiers, detectors and segmenters. ``--out`` is a folder for one drawing per image,
``predictions.json``, and the masks of a segmenter as ``NAME_mask.png``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmssl.cli.options import add_config_options
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError

if TYPE_CHECKING:
    from mmssl.visualization.predictions import Prediction

SHOWN = 5  # number of names in the line of an image


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Predict images with a trained classifier, detector or segmenter')
    add_config_options(parser)
    parser.add_argument('checkpoint', help='training checkpoint')
    parser.add_argument('images', nargs='+', help='images, or folders of them')
    parser.add_argument('--out', metavar='FOLDER', help='write pictures and predictions.json there')
    parser.add_argument('--score', type=float, default=0.3, help='smallest score of a box (default: 0.3)')
    parser.add_argument(
        '--num-best', type=int, default=5, help='number of classes that a classifier lists (default: 5)'
    )
    return parser.parse_args(argv)


def text_of(prediction: Prediction) -> str:
    """Returns the prediction as one line of text."""
    facts = prediction.summary()
    if 'shares' in facts:
        return ', '.join(f'{name} {share:.0%}' for name, share in sorted(facts['shares'].items(), key=lambda x: -x[1]))
    found = prediction.captions
    more = f', ... ({len(found)} in all)' if len(found) > SHOWN else ''
    return ', '.join(found[:SHOWN]) + more or 'nothing above the score'


@tool
def main(argv: Sequence[str] | None = None) -> list[dict]:
    args = parse_args(argv)
    from mmssl.apis.images import list_images  # after the arguments, because importing torch is slow
    from mmssl.apis.predict import PredictionWriter, Predictor, check_score
    from mmssl.datasets.decode import UnreadableImageError
    from mmssl.datasets.image_files import is_image_name

    check_score(args.score)
    if args.out and is_image_name(args.out) and not Path(args.out).is_dir():
        raise UserError(f'--out takes a folder, got {args.out!r}, the name of an image')
    sources = list(list_images(args.images))
    if not sources:
        raise UserError(f'there is no image in {", ".join(args.images)}')
    writer = None if args.out is None else PredictionWriter(args.out)
    predictor = Predictor(args.config, args.checkpoint, args.cfg_options, args.num_best)
    results, unreadable = [], 0
    for source in sources:
        try:
            image = predictor.read(source)
        except (UnreadableImageError, OSError) as error:
            unreadable += 1
            print(f'{source}: cannot be read ({error})')
            continue
        prediction = predictor.predict(source).above(args.score)
        results.append(dict(image=source, **prediction.summary()))
        print(f'{source}: {text_of(prediction)}')
        if writer:
            writer.add(prediction, image, source)
    if writer and results:
        writer.close()
        print(f'{len(results)} pictures and predictions.json: {args.out}')
    if unreadable:
        raise UserError(f'{unreadable} of {len(sources)} images cannot be read')
    return results


if __name__ == '__main__':
    main()
