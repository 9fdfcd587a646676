"""A tokenizer that needs no download: the nearest of a set of typical patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.models.layers.patches import patchify
from mmssl.registry import TOKENIZERS


@TOKENIZERS.register_module()
class PatchCodebook(nn.Module):
    """Words by k-means on the pixels of patches: this project's stand-in for a learned tokenizer.

    It is in no paper. A patch's word is the nearest of C typical patches in the Euclidean distance of pixels; these are
    fitted to training images before the first step (``FitTokenizerHook``) and saved in checkpoints. Until then they
    are random.

    Args:
        num_tokens: Number C of words.
        patch_size: Side of a patch in pixels.
        num_iterations: Rounds of k-means.
    """

    def __init__(self, num_tokens: int = 1024, patch_size: int = 16, num_iterations: int = 20) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.patch_size = patch_size
        self.num_iterations = num_iterations
        self.codes: Tensor
        self.register_buffer('codes', torch.rand(num_tokens, 3 * patch_size**2))

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """Returns the words (N, L) int64, in row-major order, of pixels (N, 3, H, W) in [0, 1]."""
        patches = patchify(pixels, self.patch_size)
        return nearest(patches.flatten(0, 1), self.codes.to(patches.dtype)).view(patches.shape[:2])

    @torch.no_grad()
    def fit(self, pixels: Tensor) -> None:
        """Fits the words to pixels (N, 3, H, W) in [0, 1]: the same on every process for the same pixels.

        Raises:
            ValueError: There are fewer patches than words.
        """
        patches = patchify(pixels, self.patch_size).flatten(0, 1)
        self.codes.copy_(k_means(patches, self.num_tokens, self.num_iterations))


def nearest(points: Tensor, centers: Tensor) -> Tensor:
    """Index (N,) int64 of the center (C, P) nearest to each of the points (N, P)."""
    return (centers.square().sum(dim=1) - 2 * points @ centers.T).argmin(dim=1)


def k_means(points: Tensor, num_centers: int, num_iterations: int, seed: int = 0) -> Tensor:
    """Lloyd's algorithm from randomly chosen points; a center that loses all its points becomes another random point.

    Args:
        points: (N, P).
        num_centers: C.
        num_iterations: Rounds.
        seed: Of the choice.

    Returns:
        (C, P).

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
