"""The colour space CIE Lab, and the bins of its ab plane that colourisation predicts."""

from __future__ import annotations

import torch
from torch import Tensor

# Rows: X, Y and Z of the linear red, green and blue of sRGB, for a white point of (0.95047, 1, 1.08883), D65.
_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)
_CUBIC, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116  # below the first number the cube root becomes a line
_LINEAR = 0.04045  # value of sRGB below which its curve is a line

# a -> smallest and largest b of the bins with this a; bins are 10 apart (Zhang et al., 2016, arXiv:1603.08511).
# fmt: off
_RANGES = {
    -90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100), -40: (-40, 100),
    -30: (-50, 100), -20: (-50, 100), -10: (-60, 100), 0: (-70, 100), 10: (-80, 90), 20: (-80, 90), 30: (-90, 90),
    40: (-100, 90), 50: (-100, 80), 60: (-110, 80), 70: (-110, 80), 80: (-110, 70), 90: (-110, 70), 100: (-90, 0),
}
# fmt: on


def rgb_to_lab(pixels: Tensor) -> Tensor:
    """Converts colours to Lab, as ``skimage.color.rgb2lab`` does.

    Args:
        pixels: sRGB (N, 3, H, W) in [0, 1]; values outside are clipped.

    Returns:
        (N, 3, H, W): L in [0, 100], a and b from about -110 to 110.
    """
    values = pixels.clamp(0, 1)
    # Both branches of a where() get gradients, so the power gets no argument at which its gradient is infinite.
    curve = ((values.clamp(min=_LINEAR) + 0.055) / 1.055) ** 2.4
    linear = torch.where(values > _LINEAR, curve, values / 12.92)
    matrix = values.new_tensor(_XYZ) / values.new_tensor(_WHITE)[:, None]
    xyz = torch.einsum('ij,njhw->nihw', matrix, linear)
    roots = torch.where(xyz > _CUBIC, xyz.clamp(min=_CUBIC) ** (1 / 3), _SLOPE * xyz + _OFFSET)
    x, y, z = roots.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Converts Lab (N, 3, H, W) to sRGB in [0, 1], the inverse of ``rgb_to_lab``; other colours are clipped."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    roots = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    xyz = torch.where(roots > _CUBIC ** (1 / 3), roots**3, (roots - _OFFSET) / _SLOPE)
    matrix = torch.linalg.inv((lab.new_tensor(_XYZ) / lab.new_tensor(_WHITE)[:, None]).double()).to(lab.dtype)
    linear = torch.einsum('ij,njhw->nihw', matrix, xyz)
    curve = 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055
    return torch.where(linear > _LINEAR / 12.92, curve, 12.92 * linear).clamp(0, 1)


def ab_bins() -> Tensor:
    """Returns the 313 bins of the ab plane that sRGB reaches, (313, 2) float32, ordered by a, then by b."""
    return torch.tensor([(a, b) for a, (low, high) in _RANGES.items() for b in range(low, high + 1, 10)]).float()


def soft_bins(ab: Tensor, bins: Tensor, num_neighbours: int = 10, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """Encodes colours by their nearest bins (arXiv:1603.08511, section 2.1).

    The weight of a bin at distance d is ``exp(-d^2 / (2 sigma^2))``; the weights of a position sum to 1.

    Args:
        ab: (N, 2, H, W).
        bins: (Q, 2).
        num_neighbours: Number K of bins with a weight: 10 in the official code, 5 in the paper.
        sigma: Width of the Gaussian.

    Returns:
        Indices (N, K, H, W) int64 of the bins, the nearest first, and their weights (N, K, H, W).
    """
    positions = ab.permute(0, 2, 3, 1).flatten(0, 2)  # (N H W, 2)
    squares = (positions[:, None] - bins.to(ab)).square().sum(dim=2)  # (N H W, Q)
    nearest, indices = squares.topk(num_neighbours, largest=False)
    weights = torch.softmax(-nearest / (2 * sigma**2), dim=1)
    shape = (len(ab), *ab.shape[2:])
    return indices.unflatten(0, shape).movedim(-1, 1), weights.unflatten(0, shape).movedim(-1, 1)


def annealed_mean(logits: Tensor, bins: Tensor, temperature: float = 0.38) -> Tensor:
    """Decodes logits to colours, the mean of the bins under the sharpened distribution (arXiv:1603.08511, Eq. 5).

    Args:
        logits: (N, Q, H, W).
        bins: (Q, 2).
        temperature: Divisor of the logits: near 0 it takes the most likely bin, 1 the mean, which is greyish.

    Returns:
        ab (N, 2, H, W).
    """
    return torch.einsum('nqhw,qc->nchw', torch.softmax(logits / temperature, dim=1), bins.to(logits))
