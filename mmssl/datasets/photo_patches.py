"""A small dataset that needs no download: patches of photographs from installed packages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.transforms.geometry import resize
from mmssl.registry import DATASETS

PHOTOS = {
    'skimage': (
        'astronaut.png', 'brick.png', 'camera.png', 'cell.png', 'chelsea.png', 'coffee.png', 'coins.png', 'grass.png',
        'gravel.png', 'hubble_deep_field.jpg', 'ihc.png', 'moon.png', 'motorcycle_left.png', 'retina.jpg',
        'rocket.jpg', 'page.png',
    ),
    'sklearn': ('flower.jpg', 'china.jpg'),
}  # fmt: skip
FOLDERS = {'skimage': 'data', 'sklearn': 'datasets/images'}
CELL = 64  # pixels
SIDES = (32, 64)  # smallest and largest side in pixels
SPLITS = {'train': (0, 400), 'test': (1, 60)}  # colour of the chessboard, number of patches per photograph


@DATASETS.register_module()
class PhotoPatches(ImageDataset):
    """Patches of 18 photographs; the class of a patch is its photograph.

    The photographs come with the wheels of scikit-image and scikit-learn. Each is divided into cells of 64 pixels that
    are coloured like a chessboard. Training patches lie within cells of one colour and test patches within cells of the
    other, so they share no pixel. A patch is a square of 32 to 64 pixels that is resized to ``size``. Each photograph
    gives 400 training and 60 test patches, which are cut once per process and kept in memory.

    Args:
        split: ``'train'`` or ``'test'``.
        size: Side of the stored patches in pixels.
        patch_seed: Seed of the positions and sides of the patches.
        photos: Numbers of the photographs to use, in the order of ``classes``; None uses all. Labels do not change.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, and ``seed``.

    Raises:
        ValueError: The split or a number of a photograph is unknown.
        FileNotFoundError: A photograph is not in the installed package.
    """

    holds_rgb = True
    classes = tuple(Path(name).stem for names in PHOTOS.values() for name in names)

    def __init__(
        self,
        split: str = 'train',
        size: int = 32,
        patch_seed: int = 0,
        photos: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split must be 'train' or 'test', got {split!r}")
        if photos is not None and not set(photos) <= set(range(len(self.classes))):
            raise ValueError(f'photos must be numbers from 0 to {len(self.classes) - 1}, got {list(photos)}')
        self.patches = cut_patches(split, size, patch_seed)
        each = len(self.patches) // len(self.classes)
        self.labels = np.repeat(np.arange(len(self.classes)), each)
        if photos is not None:
            chosen = np.isin(self.labels, photos)
            self.patches, self.labels = self.patches[chosen], self.labels[chosen]
        super().__init__(**kwargs)

    def _num_images(self) -> int:
        return len(self.patches)

    def _load(self, row: int) -> np.ndarray:
        return self.patches[row]

    def _label(self, row: int) -> int:
        return int(self.labels[row])


@lru_cache(maxsize=8)
def cut_patches(split: str, size: int, seed: int) -> np.ndarray:
    """Returns the patches of all photographs, uint8 (patches, size, size, 3), photograph by photograph.

    The result is cached, so the caller must not change it.

    Args:
        split: ``'train'`` or ``'test'``.
        size: Side of the patches in pixels.
        seed: Seed of the positions and sides.
    """
    colour, count = SPLITS[split]
    patches = []
    for number, path in enumerate(photo_paths()):
        image = np.array(Image.open(path).convert('RGB'))
        rng = np.random.default_rng((seed, colour, number))
        height, width = image.shape[:2]
        for top, left, side in draw_patches(rng, height, width, colour, count):
            patch = image[top : top + side, left : left + side]
            patches.append(resize(patch, size, size, 'bilinear').permute(1, 2, 0).numpy())
    return np.stack(patches)


def draw_patches(rng: np.random.Generator, height: int, width: int, colour: int, count: int) -> np.ndarray:
    """Draws squares that each lie within one whole cell of the given colour of the chessboard.

    Args:
        rng: Generator of the random draws.
        height: Height of the photograph in pixels.
        width: Width of the photograph in pixels.
        colour: Colour 0 or 1: (row + column) of a cell modulo 2.
        count: Number of squares.

    Returns:
        (count, 3) int64: top, left and side in pixels.
    """
    rows, columns = np.indices((height // CELL, width // CELL))
    cells = np.argwhere((rows + columns) % 2 == colour)
    corners = CELL * cells[rng.integers(len(cells), size=count)]
    sides = rng.integers(SIDES[0], SIDES[1] + 1, size=(count, 1))
    return np.hstack([corners + rng.integers(0, CELL - sides + 1, size=(count, 2)), sides])


def photo_paths() -> list[Path]:
    """Returns the paths of the photographs in the order of ``PhotoPatches.classes``.

    Raises:
        FileNotFoundError: A photograph is missing (scikit-image's own loaders would download it).
    """
    paths = []
    for package, names in PHOTOS.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f'the photographs come with {package}: pip install scikit-image scikit-learn')
        folder = Path(spec.origin).parent / FOLDERS[package]
        paths += [folder / name for name in names]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f'the installed packages do not contain {missing}; install scikit-image >= 0.22')
    return paths
