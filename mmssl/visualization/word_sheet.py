"""Draws example patches of visual words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.datasets.base import ImageDataset
from mmssl.visualization.image_grid import image_grid

_CONTEXT = 4  # side of a patch in strides of the feature map


def word_sheet(
    dataset: ImageDataset,
    rows: Sequence[int],
    words: np.ndarray,
    distances: np.ndarray,
    border: int = 0,
    num_words: int = 12,
    num_patches: int = 10,
    picture: Callable[[Tensor], Tensor] = Tensor.clone,
) -> Figure:
    """Draws one row per visual word: the image patches whose features are nearest to the word.

    The words are spread evenly from the most frequent one to the least frequent one that has ``num_patches`` positions.
    The side of a patch is four strides of the feature map; the receptive field of the network may be larger. An image
    contributes at most one patch per word.

    Args:
        dataset: Dataset with a ``transform``.
        rows: Indices of the I images in the dataset.
        words: (I, P) int64, the word at each of the P positions of a square feature map.
        distances: (I, P), squared distance between the feature at a position and its word.
        border: Width in positions of the border of the feature map that ``words`` leaves out.
        num_words: Number of rows.
        num_patches: Number of columns.
        picture: Function: images of the dataset (N, C, S, S) -> pixels (N, 3, S, S) uint8, the ``picture`` of the data
            preprocessor, for images with bands; the default returns RGB images unchanged.
    """
    frequent = np.argsort(-np.bincount(words.ravel()), kind='stable')
    frequent = frequent[: int((np.bincount(words.ravel()) >= num_patches).sum()) or 1]
    chosen = frequent[np.linspace(0, len(frequent) - 1, min(num_words, len(frequent))).round().astype(int)]
    sheet = torch.stack(
        [word_patches(dataset, rows, words == word, distances, border, num_patches, picture) for word in chosen]
    )
    counts = np.bincount(words.ravel())
    labels = [f'word {word}\n{counts[word]} times' for word in chosen]
    return image_grid(sheet, [''] * num_patches, labels=labels)


def word_patches(
    dataset: ImageDataset,
    rows: Sequence[int],
    is_word: np.ndarray,
    distances: np.ndarray,
    border: int,
    number: int,
    picture: Callable[[Tensor], Tensor] = Tensor.clone,
) -> Tensor:
    """Returns the patches whose features are nearest to a word, one per image; missing patches are white.

    Args:
        dataset: Dataset with a ``transform``.
        rows: Indices of the I images in the dataset.
        is_word: (I, P) bool, whether the word is at a position of a square feature map.
        distances: (I, P), see ``word_sheet``.
        border: Width of the ignored border, see ``word_sheet``.
        number: Number of patches.
        picture: Function from images to pixels, see ``word_sheet``.

    Returns:
        (number, 3, S, S) uint8; S is four strides of the feature map.
    """
    side = round(is_word.shape[1] ** 0.5)
    masked = np.where(is_word, distances, np.inf)
    best = masked.argmin(axis=1)  # the position of each image that is nearest to the word
    nearest = masked[np.arange(len(best)), best]
    patches = []
    for image in np.argsort(nearest, kind='stable')[:number]:
        pixels = picture(dataset[int(rows[image])]['inputs'][None])[0]
        stride = pixels.shape[-1] / (side + 2 * border)
        half = round(_CONTEXT * stride / 2)
        centre = [round((border + int(index) + 0.5) * stride) for index in divmod(int(best[image]), side)]
        padded = torch.nn.functional.pad(pixels, (half,) * 4, value=255)
        patch = padded[:, centre[0] : centre[0] + 2 * half, centre[1] : centre[1] + 2 * half]
        patches.append(patch if np.isfinite(nearest[image]) else torch.full_like(patch, 255))
    return torch.stack(patches + [torch.full_like(patches[0], 255)] * (number - len(patches)))
