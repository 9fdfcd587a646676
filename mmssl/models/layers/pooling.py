"""Pooling of a backbone's output to one vector per image."""

from __future__ import annotations

from torch import Tensor


def to_vector(
    features: Tensor | tuple[Tensor, ...], num_prefix_tokens: int | None = None, token: str = 'cls'
) -> Tensor:
    """Pools the output of a backbone to one vector per image.

    Args:
        features: Output of a backbone: a vector (N, D), which is returned unchanged; a map (N, D, H, W), which is
            averaged over positions; tokens (N, L, D); or a tuple of these over stages, the last of which is used.
        num_prefix_tokens: Number of tokens before the patches, such as a class token; None for features without tokens.
        token: Pooling of tokens: ``'cls'`` takes the first token, if ``num_prefix_tokens`` is not 0; ``'mean'``, and
            ``'cls'`` without prefix tokens, takes the mean of the patches.

    Returns:
        (N, D).

    Raises:
        ValueError: The features are tokens and ``num_prefix_tokens`` is None; let the backbone return its class token
            or mean.
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


def to_vector_of(features: Tensor | tuple[Tensor, ...], width: int) -> Tensor:
    """Returns ``to_vector(features)`` for a head that takes vectors of ``width`` numbers.

    Raises:
        ValueError: The vectors have another width.
    """
    vectors = to_vector(features)
    if vectors.shape[1] != width:
        raise ValueError(
            f'the features have {vectors.shape[1]} numbers: set in_channels={vectors.shape[1]}, got {width}'
        )
    return vectors
