"""Conversion between images, all patches and visible patches, with static shapes and without synchronisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cuts images into patches, in row-major order; a patch is a vector in the order (row, column, channel).

    Args:
        images: (N, C, H, W), H and W multiples of p.
        patch_size: Side p of a patch in pixels.

    Returns:
        (N, L, p * p * C) with L = H / p * W / p.

    Raises:
        ValueError: A side of the images is not a multiple of ``patch_size``.
    """
    check_whole_patches(images, patch_size)
    cells = images.unflatten(3, (-1, patch_size)).unflatten(2, (-1, patch_size))  # (N, C, rows, p, columns, p)
    return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def check_whole_patches(images: Tensor, patch_size: int) -> None:
    """Checks that images (N, C, H, W) consist of whole patches.

    Raises:
        ValueError: A side of the images is not a multiple of ``patch_size``.
    """
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f'the sides of images must be multiples of patch_size={patch_size}, got {height} x {width} pixels'
        )


def unpatchify(patches: Tensor, patch_size: int, grid: tuple[int, int]) -> Tensor:
    """Joins patches to images: the inverse of ``patchify``.

    Args:
        patches: (N, L, p * p * C).
        patch_size: Side p of a patch in pixels.
        grid: Number of rows and of columns of patches; their product is L.

    Returns:
        (N, C, rows * p, columns * p).
    """
    cells = patches.unflatten(2, (patch_size, patch_size, -1)).unflatten(1, grid)  # (N, rows, columns, p, p, C)
    return cells.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


def select_patches(tokens: Tensor, keep: Tensor) -> Tensor:
    """Selects the visible patches.

    Args:
        tokens: (N, L, ...).
        keep: (N, K) int64, positions of the visible patches; or (N, L) bool, True = visible, with the same number K in
            every image, which synchronises the device.

    Returns:
        (N, K, ...), in the order of ``keep``.

    Raises:
        ValueError: ``keep`` is bool, and the number of visible patches differs between images.
    """
    if keep.dtype == torch.bool:
        keep = _positions(keep)
    return tokens.gather(1, _index(keep, tokens))


def embed_visible(convolution: nn.Conv2d, images: Tensor, keep: Tensor) -> Tensor:
    """Applies a patch embedding to the visible patches alone.

    Args:
        convolution: Patch embedding, a convolution whose stride is its kernel size p.
        images: (N, C, H, W), H and W multiples of p.
        keep: Visible patches, see ``select_patches``.

    Returns:
        (N, K, D).
    """
    visible = select_patches(patchify(images, convolution.stride[0]), keep)  # (N, K, p * p * C)
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)  # order (row, column, channel) as in a patch
    return linear(visible, weight, convolution.bias)


def hide_patches(tokens: Tensor, mask: Tensor, mask_token: Tensor | None) -> Tensor:
    """Replaces hidden patches with a learned token.

    Args:
        tokens: (N, L, D).
        mask: (N, L) bool, True = hidden.
        mask_token: (1, 1, D).

    Returns:
        (N, L, D), dtype of ``tokens``.

    Raises:
        ValueError: ``mask_token`` is None, or the mask has another number of patches than the images.
    """
    if mask_token is None:
        raise ValueError('a mask needs a mask_token, which replaces hidden patches')
    if mask.shape != tokens.shape[:2]:
        raise ValueError(
            f'the mask has {mask.shape[1]} patches and the images {tokens.shape[1]}: masker and backbone need the same '
            'patch_size'
        )
    return torch.where(mask.unsqueeze(-1), mask_token.to(tokens.dtype), tokens)


def restore_patches(visible: Tensor, keep: Tensor, fill: Tensor, num_patches: int) -> Tensor:
    """Puts the visible patches at their positions among all patches: the inverse of ``select_patches``.

    Args:
        visible: (N, K, D).
        keep: (N, K) int64, positions of the visible patches.
        fill: Token at the hidden patches, broadcastable to (N, L, D), such as a mask token (1, 1, D).
        num_patches: Number of patches L.

    Returns:
        (N, L, D), dtype of ``visible``.
    """
    num_images, _, dim = visible.shape
    everywhere = fill.to(visible.dtype).expand(num_images, num_patches, dim)
    return everywhere.scatter(1, _index(keep, visible), visible)


def _index(keep: Tensor, tokens: Tensor) -> Tensor:
    """Returns (N, K, ...) int64: ``keep`` repeated over the dimensions of ``tokens`` after dimension 1."""
    rest = tokens.shape[2:]
    return keep.reshape(*keep.shape, *(1 for _ in rest)).expand(*keep.shape, *rest)


def _positions(keep: Tensor) -> Tensor:
    counts = set(keep.sum(dim=1).tolist())
    if len(counts) != 1:
        raise ValueError(f'keep needs the same number of visible patches in every image, got {sorted(counts)}')
    return keep.nonzero()[:, 1].view(len(keep), -1)
