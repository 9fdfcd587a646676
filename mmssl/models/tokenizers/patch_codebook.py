"""A tokenizer without download, which assigns a patch to the nearest of a set of typical patches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmssl.models.layers.patches import patchify
from mmssl.registry import TOKENIZERS


@TOKENIZERS.register_module()
class PatchCodebook(nn.Module):
    """Words by k-means on the pixels of patches: this project's simple replacement of a learned tokenizer.

    No paper describes it. The word of a patch is the index of the nearest of C typical patches, in the Euclidean
    distance of pixels. ``FitTokenizerHook`` fits the typical patches to training images before the first step; they are
    saved in checkpoints, and random before they are fitted. ``is_fitted`` tells whether they were fitted or loaded.

    Args:
        num_tokens: Number C of words.
        patch_size: Side of a patch in pixels.
        num_iterations: Number of iterations of k-means.
    """

    def __init__(self, num_tokens: int = 1024, patch_size: int = 16, num_iterations: int = 20) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.patch_size = patch_size
        self.num_iterations = num_iterations
        self.is_fitted = False
        self.codes: Tensor
        self.register_buffer('codes', torch.rand(num_tokens, 3 * patch_size**2))

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """Returns the words (N, L) int64, in row-major order, for pixels (N, 3, H, W) in [0, 1]."""
        patches = patchify(pixels, self.patch_size)
        return nearest(patches.flatten(0, 1), self.codes.to(patches.dtype)).view(patches.shape[:2])

    @torch.no_grad()
    def fit(self, pixels: Tensor) -> None:
        """Fits the typical patches to pixels (N, 3, H, W) in [0, 1].

        Every process draws the same initial patches. A GPU adds numbers in an order that changes between calls, so the
        results can differ by rounding, and ``FitTokenizerHook`` copies those of the first process to the others.

        Raises:
            ValueError: There are fewer patches than words.
        """
        patches = patchify(pixels, self.patch_size).flatten(0, 1)
        self.codes.copy_(k_means(patches, self.num_tokens, self.num_iterations))
        self.is_fitted = True

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.is_fitted = self.is_fitted or f'{prefix}codes' in state_dict


def nearest(points: Tensor, centers: Tensor) -> Tensor:
    """Returns the index (N,) int64 of the nearest of ``centers`` (C, P) for each of ``points`` (N, P)."""
    return (centers.square().sum(dim=1) - 2 * points @ centers.T).argmin(dim=1)


def k_means(points: Tensor, num_centers: int, num_iterations: int, seed: int = 0) -> Tensor:
    """Lloyd's algorithm; initial centers are random points, and an empty cluster gets another random point as center.

    Args:
        points: (N, P), points to cluster.
        num_centers: Number of centers C.
        num_iterations: Number of iterations.
        seed: Seed of the random choice of points.

    Returns:
        Centers (C, P).

    Raises:
        ValueError: There are fewer points than centers.
    """
    if len(points) < num_centers:
        raise ValueError(f'{num_centers} words cannot be fitted to {len(points)} patches: give more images')
    generator = torch.Generator().manual_seed(seed)

    def choose(count: int) -> Tensor:
        return points[torch.randperm(len(points), generator=generator)[:count].to(points.device)]

    centers = choose(num_centers)
    for _ in range(num_iterations):
        owner = torch.cat([nearest(chunk, centers) for chunk in points.split(2**14)])
        counts = torch.bincount(owner, minlength=num_centers).unsqueeze(1)
        sums = torch.zeros_like(centers).index_add_(0, owner, points)
        centers = torch.where(counts > 0, sums / counts.clamp(min=1), choose(num_centers))
    return centers
