"""The base class of convolutional backbones that are a sequence of a stem and stages."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.loading import skip_on_load


class StagedBackbone(OrderedLayers, BaseModule):
    """A stem, stages, and optionally fully connected layers after the stages.

    The constructor of a subclass builds the layers and passes them to ``_build``. Stages after the last of
    ``out_indices`` are dropped, so every trained parameter receives a gradient. A checkpoint of the whole network loads
    too.

    Args:
        out_indices: Stages, counted from 0, whose maps are returned.
        frozen_stages: -1 trains everything, i freezes the stem and the first i stages; frozen layers stay in evaluation
            mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, out_indices: Sequence[int], frozen_stages: int, norm_eval: bool, init_cfg: dict | None) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

    def _build(self, stem: nn.Module, stages: Sequence[nn.Module], fc: nn.Module | None = None) -> None:
        """Keeps the layers that the outputs need, and freezes the layers that ``frozen_stages`` names.

        Args:
            stem: Module: images -> input of the first stage.
            stages: All stages of the network.
            fc: Fully connected layers: map of the last stage -> vector; ``forward`` then returns this vector.

        Raises:
            ValueError: ``out_indices`` or ``frozen_stages`` name a stage that does not exist.
        """
        number = len(stages)
        if not self.out_indices or not set(self.out_indices) <= set(range(number)):
            raise ValueError(f'out_indices must name stages 0 to {number - 1}, got {self.out_indices}')
        if not -1 <= self.frozen_stages <= number:
            raise ValueError(f'frozen_stages must lie in -1 to {number}, got {self.frozen_stages}')
        self.num_stages = number if fc is not None else max(self.out_indices) + 1
        self.stem = stem
        self.stages = nn.ModuleList(stages[: self.num_stages])
        if fc is not None:
            self.fc = fc
        missing = [f'stages.{index}.' for index in range(self.num_stages, number)]
        skip_on_load(self, *missing, *(['fc.'] if fc is None else []))
        self._freeze()

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the numbered layers of all stages."""
        return [layer for stage in self.stages for name, layer in stage.named_children() if name.isdigit()]

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the maps (N, C_i, H_i, W_i) of the stages in ``out_indices``, in ascending order.

        With fully connected layers it returns the vector (N, D) of these instead.

        Args:
            images: (N, 3, H, W), normalised.
        """
        x = self.stem(images)
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                maps.append(x)
        return self.fc(x) if hasattr(self, 'fc') else tuple(maps)

    def train(self, mode: bool = True) -> StagedBackbone:
        """Sets the training mode; frozen layers, and with ``norm_eval`` all batch norms, stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages >= 0:
            for module in (self.stem, *self.stages[: self.frozen_stages]):
                module.eval().requires_grad_(False)


def he_normal(module: nn.Module) -> None:
    """Initialises convolutions with He's normal with fan-out, linear layers with N(0, 0.01), and biases with 0.

    Layers whose weight does not require a gradient keep their values.
    """
    for layer in module.modules():
        if not isinstance(layer, (nn.Conv2d, nn.Linear)) or not layer.weight.requires_grad:
            continue
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')
        else:
            nn.init.normal_(layer.weight, std=0.01)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
