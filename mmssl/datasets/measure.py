"""Statistics of a folder of images: value range, mean and standard deviation of each band."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmssl.datasets.bands import check_bands, read_bands
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.image_files import find_images
from mmssl.utils.errors import UserError

_SAMPLES = 10_000  # of each image and band


def measure_images(
    folder: str, bands: int | Sequence[int], percentiles: tuple[float, float] = (0.1, 99.9), max_images: int = 1000
) -> dict[str, Any]:
    """Measures a folder once, for ``value_range`` of its datasets and ``statistics`` of the data preprocessor.

    At most 10,000 pixels of each image are used, drawn with a fixed seed; pixels with infinite samples are left out.

    Args:
        folder: Folder of images, see ``ImageFolder``.
        bands: Number of bands, or indices of the bands to take, see ``decode_bands``.
        percentiles: Percentiles of the samples of a band that become black and white, in 0-100.
        max_images: Largest number of images, evenly spaced in the order of their names.

    Returns:
        ``bands``; ``value_range``, one pair (black, white) for each band; ``mean`` and ``std`` of each band after this
        range was applied, on the scale 0-255; ``images``, the number of images.

    Raises:
        UserError: No image can be read, or a band is constant.
        ValueError: ``bands``, ``percentiles`` or ``max_images`` are wrong.
    """
    number, folder = check_bands(bands), os.path.expanduser(folder)
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise ValueError(f'percentiles must be two numbers of 0-100, the smaller first, got {percentiles}')
    if max_images < 1:
        raise ValueError(f'max_images must be at least 1, got {max_images}')
    names = list(find_images(folder, bands))
    names = [names[index] for index in np.linspace(0, len(names) - 1, min(len(names), max_images)).astype(int)]
    rng, samples, skipped = np.random.default_rng(0), [], 0
    for name in names:
        try:
            with open(f'{folder}/{name}', 'rb') as file:
                pixels = read_bands(file.read(), bands).reshape(-1, number)
            if np.isnan(pixels).any():
                raise UnreadableImageError('samples are NaN')  # as a dataset would say
            if pixels.dtype.kind == 'f':  # a dataset clips infinite samples, which have no mean
                pixels = pixels[np.isfinite(pixels).all(axis=1)]
            if not len(pixels):
                raise UnreadableImageError('all samples are infinite')
        except (UnreadableImageError, OSError) as error:
            skipped += 1
            print_log(f'{name} is skipped: {error}', logger='current', level=30)
            continue
        samples.append(pixels[rng.permutation(len(pixels))[:_SAMPLES]])
    if not samples:
        raise UserError(f'{folder} holds no image with bands={bands} that can be read ({skipped} were skipped)')
    values = np.concatenate(samples).astype(np.float64)
    low, high = np.percentile(values, percentiles, axis=0)
    constant = np.flatnonzero(low >= high).tolist()
    if constant:
        raise UserError(
            f'the bands {constant} are constant between the percentiles {percentiles}: leave them out, or choose wider '
            'percentiles, such as 0 and 100'
        )
    scaled = 255 * ((values - low) / (high - low)).clip(0, 1)
    return dict(
        bands=bands if isinstance(bands, int) else list(bands),
        value_range=[[float(a), float(b)] for a, b in zip(low, high)],
        mean=scaled.mean(axis=0).round(3).tolist(),
        std=scaled.std(axis=0).round(3).tolist(),
        images=len(samples),
    )
