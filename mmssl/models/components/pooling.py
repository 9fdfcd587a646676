"""From what a backbone returns to one vector per image."""

from __future__ import annotations

from torch import Tensor


def to_vector(features: Tensor | tuple[Tensor, ...]) -> Tensor:
    """One vector per image.

    Args:
        features: A vector (N, D), which is returned as it is, a feature map (N, D, H, W), which is averaged over
            positions, or a tuple of maps over stages, of which the last is taken.

    Returns:
        (N, D).

    Raises:
        ValueError: The features are tokens (N, L, D): choose the backbone's class token or mean instead.
    """
    if isinstance(features, tuple):
        features = features[-1]
    if features.ndim == 2:
        return features
    if features.ndim == 4:
        return features.mean(dim=(2, 3))
    raise ValueError(
        f'expected a vector (N, D) or a map (N, D, H, W), got shape {tuple(features.shape)}; '
        "a transformer gives a vector with output='cls' or output='mean'"
    )
