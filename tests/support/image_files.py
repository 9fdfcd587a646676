"""Makes image files for tests of datasets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

EVALUATION = dict(transform=dict(type='CenterCropView', size=8))
TRAINING = dict(
    views=[dict(type='AugmentedView', size=8, jitter=(0.4, 0.4, 0.4, 0.1), grayscale=0.2, blur=0.5, solarize=0.2)] * 2
)


def flat_image(value: int, size: int = 8) -> np.ndarray:
    """Returns an image whose pixels all have the same value, uint8 (size, size, 3)."""
    return np.full((size, size, 3), value, np.uint8)


def encode(image: np.ndarray, suffix: str = '.png') -> bytes:
    """Returns the bytes of an image file with the RGB ``image``."""
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()


def write_images(folder: Path, names: list[str]) -> None:
    """Writes one flat image per name below ``folder``; the pixels of image n have the value 10 n."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(flat_image(10 * number), path.suffix))


def value_of(item: dict) -> int:
    """Returns the pixel value of the flat image in an evaluation item."""
    return int(item['inputs'].float().mean())
