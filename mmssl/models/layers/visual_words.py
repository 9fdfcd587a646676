"""Feature maps as bags of visual words (BoWNet, arXiv:2002.12247, section 3; OBoW, arXiv:2012.11552, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

POOLS = ('max', 'avg')


def without_border(maps: Tensor, border: int) -> Tensor:
    """Removes the outer ``border`` rows and columns of maps (N, C, H, W), which padding affects.

    Raises:
        ValueError: Nothing is left of the maps.
    """
    height, width = maps.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ValueError(f'border={border} leaves nothing of maps of {height} x {width} positions: lower border')
    return maps[..., border : height - border, border : width - border]


def word_distances(maps: Tensor, words: Tensor) -> Tensor:
    """Returns squared distances between the vectors of maps and words.

    Args:
        maps: (N, C, H, W).
        words: (K, C).

    Returns:
        (N, K, H, W), >= 0.
    """
    vectors = maps.flatten(2).transpose(1, 2)  # (N, H * W, C)
    products = vectors @ words.T
    distances = words.square().sum(1) - 2 * products + vectors.square().sum(2, keepdim=True)
    return distances.clamp(min=0).transpose(1, 2).unflatten(2, maps.shape[-2:])


def bag_of_words(words: Tensor, num_words: int, binary: bool = False, dtype: torch.dtype = torch.float32) -> Tensor:
    """Returns the share of each word in each image, (N, K); rows sum to 1.

    Args:
        words: (N, H, W) int64, the word at each position.
        num_words: Number K of words.
        binary: Whether a word that occurs several times counts once.
        dtype: Floating point type of the result.
    """
    words = words.flatten(1)
    bags = torch.zeros(len(words), num_words, device=words.device, dtype=dtype)
    ones = torch.ones_like(words, dtype=bags.dtype)
    bags = bags.scatter(1, words, ones) if binary else bags.scatter_add(1, words, ones)
    return bags / bags.sum(1, keepdim=True)


def soft_codes(distances: Tensor, sharpness: Tensor | float) -> Tensor:
    """Returns (N, K, H, W), ``softmax(-sharpness * distance)`` over the words at each position (OBoW, Eq. 5).

    Args:
        distances: (N, K, H, W), squared distances from ``word_distances``.
        sharpness: Factor > 0; OBoW uses ``inverse_temperature / mean smallest distance``.
    """
    return torch.softmax(-sharpness * distances, dim=1)


def pool_codes(codes: Tensor, pool: str = 'max') -> Tensor:
    """Pools codes over positions to bags (N, K), whose rows sum to 1.

    Args:
        codes: (N, K, H, W) from ``soft_codes``.
        pool: Pooling over positions, before the division by the sum: ``'max'`` or ``'avg'``.

    Raises:
        ValueError: ``pool`` is unknown.
    """
    if pool not in POOLS:
        raise ValueError(f'pool must be one of {POOLS}, got {pool!r}')
    bags = codes.flatten(2).amax(2) if pool == 'max' else codes.flatten(2).mean(2)
    return bags / bags.sum(1, keepdim=True)
