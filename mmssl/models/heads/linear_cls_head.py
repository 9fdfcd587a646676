"""The linear classifier for probing and fine-tuning."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector_of
from mmssl.registry import HEADS, LOSSES

NORMS = ('none', 'batch', 'layer')


@HEADS.register_module()
class LinearClsHead(BaseModule):
    """One linear layer from a backbone's features to the logits of C classes, and its loss.

    Initial weights are normal with standard deviation ``init_std``, initial biases are 0. The official codes of MAE and
    BEiT truncate the normal distribution at 2; with their standard deviations this changes nothing.

    Args:
        in_channels: Width D of the features.
        num_classes: Number of classes C.
        norm: Norm before the linear layer: ``'none'``; ``'batch'``, a batch norm without scale and offset (MAE's probe,
            arXiv:2111.06377, Appendix A.1); ``'layer'``, a layer norm, the ``fc_norm`` of a ViT that is fine-tuned on
            the mean of its tokens. Both norms have an epsilon of 1e-6.
        logit_norm: Whether a batch norm with scale and offset follows the linear layer (the official probe of CARE).
        init_std: Standard deviation of the initial weights; 0 sets all weights to 0; None keeps the default
            initialisation of ``nn.Linear``.
        bias: Whether the linear layer has a bias, which ``logit_norm`` makes superfluous.
        loss: Config of a loss that takes logits and targets.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``norm`` is unknown, or ``init_std`` is negative.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        norm: str = 'none',
        logit_norm: bool = False,
        init_std: float | None = 0.01,
        bias: bool = True,
        loss: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if norm not in NORMS or (init_std or 0) < 0:
            raise ValueError(f'norm must be one of {NORMS} and init_std >= 0, got {norm!r} and {init_std}')
        self.num_classes = num_classes
        self.norm: nn.Module = nn.Identity()
        if norm == 'batch':
            self.norm = nn.BatchNorm1d(in_channels, affine=False, eps=1e-6)
        elif norm == 'layer':
            self.norm = nn.LayerNorm(in_channels, eps=1e-6)
        self.fc = nn.Linear(in_channels, num_classes, bias=bias)
        if init_std is not None:
            nn.init.normal_(self.fc.weight, std=init_std)
            if bias:
                nn.init.zeros_(self.fc.bias)
        self.logit_norm = nn.BatchNorm1d(num_classes) if logit_norm else nn.Identity()
        self.loss = LOSSES.build(loss or dict(type='CrossEntropyLoss'))

    def predict(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns logits (N, C) for the output of a backbone, or for vectors (N, D)."""
        return self.logit_norm(self.fc(self.norm(to_vector_of(features, self.fc.in_features))))

    def forward(self, features: Tensor | tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            features: Output of a backbone, or vectors (N, D).
            targets: Labels (N,) int64, or probabilities (N, C).
        """
        return self.loss(self.predict(features), targets)
