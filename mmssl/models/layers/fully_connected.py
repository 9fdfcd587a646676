"""The two fully connected layers after the convolutions of AlexNet and VGG."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class FullyConnected(nn.Module):
    """Layers fc6 and fc7: map of the last convolution -> pooled and flattened, (N, D) -> vector (N, ``width``).

    Each layer consists of dropout, a linear layer, optionally a batch norm (the linear layer then has no bias), and a
    ReLU.

    Args:
        in_features: Number of features D.
        pool: Pooling that is applied before the map is flattened.
        width: Width of both layers.
        norm: Whether a batch norm follows each linear layer, as in RotNet.
        dropout: Rates of the dropouts before fc6 and before fc7.
        last_relu: Whether fc7 ends with a ReLU. DeepCluster clusters the values before this ReLU.
    """

    def __init__(
        self,
        in_features: int,
        pool: nn.Module,
        width: int = 4096,
        norm: bool = False,
        dropout: Sequence[float] = (0.0, 0.0),
        last_relu: bool = True,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.pool = pool
        self.dropout6, self.dropout7 = (nn.Dropout(rate) for rate in dropout)
        self.fc6 = nn.Linear(in_features, width, bias=not norm)
        self.bn6: nn.Module = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.relu6 = nn.ReLU(inplace=True)
        self.fc7 = nn.Linear(width, width, bias=not norm)
        self.bn7: nn.Module = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.relu7: nn.Module = nn.ReLU(inplace=True) if last_relu else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Returns the output of fc7, (N, ``width``), for a map (N, C, H, W) that is not yet pooled.

        Raises:
            ValueError: The pooled map does not have ``in_features`` values.
        """
        x = self.pool(features).flatten(1)
        if x.shape[1] != self.in_features:
            raise ValueError(
                f'the fully connected layers need {self.in_features} features per image after pooling, got a map '
                f'{tuple(features.shape[1:])}: use images of img_size pixels, or a backbone without fc'
            )
        x = self.relu6(self.bn6(self.fc6(self.dropout6(x))))
        return self.relu7(self.bn7(self.fc7(self.dropout7(x))))
