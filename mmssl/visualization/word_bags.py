"""Draws images as bags of visual words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmssl.datasets.base import ImageDataset
from mmssl.visualization.style import FAINT, INK, LINES, new_figure, spread
from mmssl.visualization.word_sheet import word_patches

NUM_WORDS = len(LINES)  # one colour each
_BATCH = 64
_SIDE = 0.62  # inches of a patch
_COVER = 0.65  # opacity of a word's colour


@torch.no_grad()
def word_bag_figure(
    algorithm: Any,
    images: Tensor,
    bank: ImageDataset,
    num_words: int = 4,
    num_patches: int = 8,
    num_bank: int = 1000,
) -> Figure:
    """Draws each image, the places of the words that it holds most often, and examples of these words.

    A block per image: the image; its map, in which each of the most frequent words has a colour; and a row per word.
    The row says how many positions of the map have the word, and shows the patches of bank images whose features are
    nearest to it, as ``word_sheet`` does.

    Args:
        algorithm: Algorithm with a ``data_preprocessor`` and a ``target`` that has ``nearest_words``.
        images: uint8 (N, 3, S, S), of the size that the target gets in training.
        bank: Dataset of images of that size, with a ``transform``.
        num_words: Number of words of an image, at most ``NUM_WORDS``.
        num_patches: Number of patches of a word.
        num_bank: Number of images of the bank in which patches are searched, spread evenly.
    """
    target, preprocessor = algorithm.target, algorithm.data_preprocessor
    rows = spread(len(bank), num_bank).tolist()
    squares = (torch.stack([bank[row]['inputs'] for row in rows[i : i + _BATCH]]) for i in range(0, len(rows), _BATCH))
    found = [_nearest(target, preprocessor, batch) for batch in squares]
    words, distances = (np.concatenate(arrays).reshape(len(rows), -1) for arrays in zip(*found))
    maps, _ = _nearest(target, preprocessor, images)

    figure = new_figure((2 * num_words + 2 + num_patches) * _SIDE, 0.3 + len(images) * (num_words + 0.8) * _SIDE)
    figure.set_layout_engine('constrained', w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.08)
    blocks = figure.subfigures(len(images), 1, squeeze=False, hspace=0.08)[:, 0]
    for block, image, word_map in zip(blocks, images, maps):
        grid = block.add_gridspec(
            num_words, 3 + num_patches, width_ratios=[num_words, num_words, 2, *[1] * num_patches]
        )
        picture, places = (_bare(block.add_subplot(grid[:, column])) for column in range(2))
        pixels = image.cpu().permute(1, 2, 0).numpy()
        for axes, title in ((picture, 'image'), (places, 'its most frequent words')):
            axes.imshow(pixels, extent=(0, len(pixels), len(pixels), 0))
            axes.set_title(title, fontsize=9, color=INK)
        places.imshow(_coloured(word_map, num_words), extent=_extent(len(pixels), target.border, word_map))
        places.set(xlim=(0, len(pixels)), ylim=(len(pixels), 0))
        for row, (word, count) in enumerate(_frequent(word_map, num_words)):
            name = _bare(block.add_subplot(grid[row, 2]))
            name.set_axis_off()
            text = f'word {word}\n{count} of {word_map.size}'
            name.text(1, 0.5, text, ha='right', va='center', fontsize=8, color=INK)
            patches = word_patches(bank, rows, words == word, distances, target.border, num_patches)
            for column, patch in enumerate(patches):
                cell = _bare(block.add_subplot(grid[row, 3 + column]), LINES[row], 2.0)
                cell.imshow(patch.permute(1, 2, 0).numpy())
    return figure


def _nearest(target: Any, preprocessor: nn.Module, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Returns the words of images and the squared distances to them, (N, h, w) both."""
    words, distances = target.nearest_words(preprocessor(dict(inputs=images), False)['inputs'])
    return words.cpu().numpy(), distances.float().cpu().numpy()


def _frequent(word_map: np.ndarray, number: int) -> Iterator[tuple[int, int]]:
    """Returns the most frequent words of a map and how often each occurs; the lower word first if two are equal."""
    words, counts = np.unique(word_map, return_counts=True)
    order = np.argsort(-counts, kind='stable')[:number]
    return zip(words[order].tolist(), counts[order].tolist())


def _coloured(word_map: np.ndarray, number: int) -> np.ndarray:
    """Returns (h, w, 4): the colours of the most frequent words; other words are transparent."""
    colours = np.zeros((*word_map.shape, 4))
    for colour, (word, _) in zip(LINES, _frequent(word_map, number)):
        colours[word_map == word] = to_rgba(colour, _COVER)
    return colours


def _extent(size: int, border: int, word_map: np.ndarray) -> tuple[float, float, float, float]:
    """Returns left, right, bottom and top of a map without its border, in pixels of an image of ``size`` pixels."""
    margin = border * size / (len(word_map) + 2 * border)
    return margin, size - margin, size - margin, margin


def _bare(axes: Axes, colour: str = FAINT, width: float = 0.8) -> Axes:
    """Removes the ticks of a picture and gives it a frame."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=width)
    return axes
