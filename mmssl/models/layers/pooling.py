"""From what a backbone returns to one vector per image."""

from __future__ import annotations

from torch import Tensor


def to_vector(
    features: Tensor | tuple[Tensor, ...], num_prefix_tokens: int | None = None, token: str = 'cls'
) -> Tensor:
    """One vector per image.

    Args:
        features: A vector (N, D), which is returned as it is, a feature map (N, D, H, W), which is averaged over
            positions, tokens (N, L, D), or a tuple of these over stages, of which the last is taken.
        num_prefix_tokens: Number of tokens that are no patches and stand in front; None for features without tokens.
        token: The vector that is made of tokens: ``'cls'``, the first one, which is the class token if
            ``num_prefix_tokens`` is not 0, or ``'mean'``, the mean of the patches.

    Returns:
        (N, D).

    Raises:
        ValueError: The features are tokens and ``num_prefix_tokens`` is None: choose the backbone's class token or mean
            instead.
    """
    if isinstance(features, tuple):
        features = features[-1]
    if features.ndim == 2:
        return features
    if features.ndim == 4:
        return features.mean(dim=(2, 3))
    if features.ndim == 3 and num_prefix_tokens is not None:
        return features[:, 0] if num_prefix_tokens and token == 'cls' else features[:, num_prefix_tokens:].mean(dim=1)
    raise ValueError(
        f'expected a vector (N, D) or a map (N, D, H, W), got shape {tuple(features.shape)}; '
        "a transformer gives a vector with output='cls' or output='mean'"
    )
