"""What ways of decoding cost, and how much they change the views."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from PIL import Image

from mmssl.datasets.image_folder import ImageFolder
from mmssl.profiling.augmentation import VIEWS

PICTURES = ('retina.jpg', 'astronaut.png', 'motorcycle_left.png', 'coffee.png', 'chelsea.png', 'ihc.png')
LOCAL = dict(VIEWS[0], size=96, min_scale=0.05, max_scale=0.25)
CROPS = {'two of 224 px': VIEWS, 'two of 224 px and eight of 96 px': (*VIEWS, *[LOCAL] * 8)}


def measure_loading(folder: str, decoded: str, repeats: int = 3, most: int = 64) -> dict[str, dict[str, Any]]:
    """Times the loading of views on this thread, in turns, with whole, reduced and decoded images.

    Args:
        folder: Folder of images.
        decoded: Folder for decoded copies.
        repeats: Number of rounds for the medians; a round takes other crops.
        most: Largest number of images.

    Returns:
        Views and way of decoding -> milliseconds of processor time per image, their ratio to whole decoding (median of
        the ratios of the rounds), share of images that were reduced, and mean and 99th percentile of the difference of
        pixels of views of these images to whole decoding, in levels of 255.
    """
    results: dict[str, dict[str, Any]] = {}
    for title, views in CROPS.items():
        ways: dict[str, dict[str, Any]] = {
            'whole': {},
            'reduced_decoding=2': dict(reduced_decoding=2),
            'reduced_decoding=1': dict(reduced_decoding=1),
            'decoded': dict(decoded=decoded),
        }
        datasets = {way: ImageFolder(folder, seed=0, views=list(views), **options) for way, options in ways.items()}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        differences: dict[str, list[Any]] = {way: [] for way in ways}
        rows = range(min(len(datasets['whole']), most))
        for epoch in range(repeats):
            items = {}
            for way, dataset in datasets.items():
                start = time.thread_time()
                items[way] = [dataset[epoch, row] for row in rows]
                seconds[way].append((time.thread_time() - start) / len(rows))
            for way in ways:
                differences[way] += map(_difference, items['whole'], items[way])
        for way in ways:
            results[f'{title}, {way}'] = _summary(seconds[way], seconds['whole'], differences[way])
    return results


def _difference(whole: dict, other: dict) -> tuple[float, float]:
    """Returns mean and 99th percentile of the absolute differences of all views."""
    pixels = [(a.float() - b.float()).abs().flatten() for a, b in zip(whole['inputs'], other['inputs'])]
    return (
        statistics.mean(float(view.mean()) for view in pixels),
        statistics.mean(float(view.quantile(0.99)) for view in pixels),
    )


def _summary(seconds: list[float], whole: list[float], differences: list[tuple[float, float]]) -> dict[str, Any]:
    changed = [difference for difference in differences if difference[0] > 0]
    return dict(
        milliseconds=1000 * statistics.median(seconds),
        ratio=statistics.median(a / b for a, b in zip(seconds, whole)),
        share=len(changed) / len(differences),
        mean=statistics.mean(mean for mean, _ in changed) if changed else 0.0,
        percentile=statistics.mean(high for _, high in changed) if changed else 0.0,
    )


def write_mosaics(folder: Path) -> None:
    """Writes JPEGs of 3000x2000 pixels and quality 90: photographs in scikit-image side by side, not resized."""
    import skimage

    pictures = [Image.open(Path(skimage.__file__).parent / 'data' / name).convert('RGB') for name in PICTURES]
    for number in range(len(pictures)):
        mosaic = Image.new('RGB', (3000, 2000))
        left, place = 0, number
        while left < mosaic.width:
            top, width = 0, pictures[place % len(pictures)].width
            while top < mosaic.height:
                mosaic.paste(pictures[place % len(pictures)], (left, top))
                top, place = top + pictures[place % len(pictures)].height, place + 1
            left += width
        mosaic.save(folder / f'{number}.jpg', quality=90)
