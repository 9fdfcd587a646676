"""CaffeNet (Jia et al., 2014, arXiv:1408.5093) with local response normalisation, for small patches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from mmssl.models.backbones.staged_backbone import StagedBackbone
from mmssl.registry import BACKBONES

CHANNELS = (96, 256, 384, 384, 256)
GROUPED = (1, 3, 4)  # stages with two groups of channels in Krizhevsky's network
POOLED = (0, 1, 4)  # stages followed by a pooling that halves the map


@BACKBONES.register_module()
class CaffeNet(StagedBackbone):
    """Five convolutions, of which two are followed by local response normalisation, and with ``fc`` the layer fc6.

    A stage is one convolution with its ReLU; poolings (3 x 3, stride 2) round sizes up, as Caffe does, and belong to
    the stage after them. fc6 pools once more.

    | network | arguments | patches |
    |---|---|---|
    | context-free network of jigsaw (arXiv:1603.09246) | ``groups=2, stride=2, padding=0, fc=dict(width=1024,
      dropout=.5)`` | 64 |
    | relative location (arXiv:1505.05192) | ``norm=True, fc=dict(width=4096)`` | 96 |

    Args:
        groups: Groups of channels in the second, fourth and fifth convolution.
        stride: Stride of the first convolution.
        padding: Zero padding of the first convolution in pixels.
        norm: Whether conv3, conv4, conv5 and fc6 have a batch norm without scale and offset.
        fc: dict with ``width`` of fc6 and optionally ``dropout``, its rate; the backbone then returns vectors. None
            returns maps.
        img_size: Side of the images in pixels, which is fixed with ``fc``.
        out_indices: Stages, 0 to 4, whose maps are returned without ``fc``.
        frozen_stages: -1 trains everything, i freezes the first i stages; frozen layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``img_size`` is too small for ``fc``, or an argument has another value than those above.
    """

    def __init__(
        self,
        groups: int = 1,
        stride: int = 4,
        padding: int = 5,
        norm: bool = False,
        fc: dict | None = None,
        img_size: int = 96,
        out_indices: Sequence[int] = (4,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        inputs, stages = 3, []
        side = (img_size + 2 * padding - 11) // stride + 1
        for index, outputs in enumerate(CHANNELS):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if index - 1 in POOLED:
                layers['pool'] = nn.MaxPool2d(3, 2, ceil_mode=True)
                layers['lrn'] = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)
            split = groups if index in GROUPED else 1
            kernel = (11, 5, 3, 3, 3)[index]
            step, border = (stride, padding) if index == 0 else (1, kernel // 2)
            conv = nn.Conv2d(inputs, outputs, kernel, step, border, groups=split)
            unit: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
            if norm and index >= 2:
                unit['bn'] = nn.BatchNorm2d(outputs, affine=False)
            unit['relu'] = nn.ReLU(inplace=True)
            layers['0'] = nn.Sequential(unit)
            stages.append(nn.Sequential(layers))
            inputs = outputs
        for _ in POOLED:
            side = -(-(side - 3) // 2) + 1
        if fc is not None and side < 1:
            raise ValueError(f'img_size={img_size} is too small: the map after the last pooling would be empty')
        head = None if fc is None else _FullyConnected(CHANNELS[-1] * side**2, norm, **fc)
        self._build(nn.Identity(), stages, head)
        self.feature_dim = CHANNELS[max(self.out_indices)] if head is None else head.fc6.out_features


class _FullyConnected(nn.Module):
    """Pooling and the layer fc6: map of the last stage -> vector (N, ``width``)."""

    def __init__(self, features: int, norm: bool, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.fc6 = nn.Linear(features, width)
        self.bn6: nn.Module = nn.BatchNorm1d(width, affine=False) if norm else nn.Identity()
        self.relu6 = nn.ReLU(inplace=True)
        self.dropout6 = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the output of fc6, (N, ``width``), for a map (N, C, H, W) that is not yet pooled."""
        return self.dropout6(self.relu6(self.bn6(self.fc6(self.pool(features).flatten(1)))))
