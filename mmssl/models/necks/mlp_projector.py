"""Multi-layer perceptron: the projector of joint-embedding methods, and the predictor of some."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector
from mmssl.registry import NECKS


@NECKS.register_module()
class MLPProjector(BaseModule):
    """Linear, norm, ReLU, ..., linear, norm; ``layers.<i>`` is entry i of the official codes' ``nn.Sequential``.

    Linear layers have torch's default initialisation unless ``init_cfg`` sets another.

    Args:
        in_channels: Width of the features.
        hidden_channels: Width of every layer but the last, or one width for each of these layers; None if
            ``num_layers`` is 1.
        out_channels: Width of the embedding.
        num_layers: Number of linear layers.
        norm: Whether batch norm follows the hidden linear layers.
        bias: Whether the hidden linear layers have a bias.
        last_norm: Batch norm after the last linear layer: None, ``'affine'``, ``'scale'`` (no offset) or ``'plain'``
            (no scale and no offset).
        last_bias: Whether the last linear layer has a bias.
        freeze_last_bias: Whether the bias of the last linear layer keeps its initial value, as in SimSiam.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``last_norm`` is unknown, the number of widths is not the number of hidden layers, or there is no
            last bias to freeze.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int | Sequence[int] | None,
        out_channels: int,
        num_layers: int = 2,
        norm: bool = True,
        bias: bool = False,
        last_norm: str | None = None,
        last_bias: bool = False,
        freeze_last_bias: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if last_norm not in (None, 'affine', 'scale', 'plain'):
            raise ValueError(f"last_norm must be None, 'affine', 'scale' or 'plain', got {last_norm!r}")
        if freeze_last_bias and not last_bias:
            raise ValueError('freeze_last_bias=True needs last_bias=True')
        layers: list[nn.Module] = []
        for width in _hidden_widths(hidden_channels, num_layers - 1):
            layers.append(nn.Linear(in_channels, width, bias=bias))
            if norm:
                layers.append(nn.BatchNorm1d(width))
            layers.append(nn.ReLU(inplace=True))
            in_channels = width
        last = nn.Linear(in_channels, out_channels, bias=last_bias)
        if freeze_last_bias:
            last.bias.requires_grad = False
        layers.append(last)
        if last_norm is not None:
            layers.append(nn.BatchNorm1d(out_channels, affine=last_norm != 'plain'))
        if last_norm == 'scale':
            layers[-1].register_parameter('bias', None)
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns the embedding (N, out_channels) for the output of a backbone, or for vectors (N, in_channels)."""
        return self.layers(to_vector(features))


def _hidden_widths(channels: int | Sequence[int] | None, count: int) -> Sequence[int]:
    widths = [channels] * count if isinstance(channels, int) else channels or []
    if len(widths) != count:
        raise ValueError(
            f'hidden_channels must be one number or {count} numbers for {count + 1} layers, got {channels}'
        )
    return widths
