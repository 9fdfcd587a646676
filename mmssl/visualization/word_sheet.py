"""Patches of some visual words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from mmssl.datasets.base import ImageDataset
from mmssl.visualization.image_grid import image_grid

_CONTEXT = 4  # side of a patch, in strides of the map


def word_sheet(
    dataset: ImageDataset,
    rows: Sequence[int],
    words: np.ndarray,
    distances: np.ndarray,
    border: int = 0,
    num_words: int = 12,
    num_patches: int = 10,
) -> Figure:
    """Draws some words in rows: the parts of the images around the positions that are nearest to each word.

    The words are spread evenly from the most to the least frequent one. A patch has a side of four strides of the map;
    the network may see more of the image than that. No image shows a word twice.

    Args:
        dataset: A dataset with a ``transform``.
        rows: Positions in the dataset of the I images.
        words: (I, P) int64, the word at each position of a square map.
        distances: (I, P), its squared distance.
        border: Width of the border of the map that was left out, in positions.
        num_words: Rows of the figure.
        num_patches: Columns of the figure.
    """
    frequent = np.argsort(-np.bincount(words.ravel()), kind='stable')
    frequent = frequent[: int((np.bincount(words.ravel()) >= num_patches).sum()) or 1]
    chosen = frequent[np.linspace(0, len(frequent) - 1, min(num_words, len(frequent))).round().astype(int)]
    side = round(words.shape[1] ** 0.5)
    sheet = torch.stack(
        [_patches(dataset, rows, words == word, distances, side, border, num_patches) for word in chosen]
    )
    counts = np.bincount(words.ravel())
    labels = [f'word {word}\n{counts[word]} times' for word in chosen]
    return image_grid(sheet, [''] * num_patches, labels=labels)


def _patches(
    dataset: ImageDataset,
    rows: Sequence[int],
    is_word: np.ndarray,
    distances: np.ndarray,
    side: int,
    border: int,
    number: int,
) -> torch.Tensor:
    """The nearest patches of one word, (number, 3, S, S) uint8, white where there are no more."""
    masked = np.where(is_word, distances, np.inf)
    best = masked.argmin(axis=1)  # of each image
    nearest = masked[np.arange(len(best)), best]
    patches = []
    for image in np.argsort(nearest, kind='stable')[:number]:
        pixels = dataset[int(rows[image])]['inputs']
        stride = pixels.shape[-1] / (side + 2 * border)
        half = round(_CONTEXT * stride / 2)
        centre = [round((border + int(index) + 0.5) * stride) for index in divmod(int(best[image]), side)]
        padded = torch.nn.functional.pad(pixels, (half,) * 4, value=255)
        patch = padded[:, centre[0] : centre[0] + 2 * half, centre[1] : centre[1] + 2 * half]
        patches.append(patch if np.isfinite(nearest[image]) else torch.full_like(patch, 255))
    return torch.stack(patches)
