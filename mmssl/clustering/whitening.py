"""Principal components with whitening, computed chunk by chunk."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.clustering.backend import bar, check_finite, choose_backend, chunk_rows, chunks


class PCAWhitening:
    """Projects rows on their first principal components and divides each component by the root of its eigenvalue.

    The eigenvalues are those of the scatter matrix, the sum (not the mean) of the outer products of the centred rows.
    This is the convention of faiss (``PCAMatrix`` with ``eigen_power=-0.5``): the covariance of the result is I / N.
    The signs of the components are arbitrary; they are chosen so that the largest entry of each component is positive.

    Args:
        dim: Number of components to keep.
        unit_length: True divides each row by its length afterwards, as DeepCluster does.
        device: Device on which the sums are computed in float64; None means the first GPU, or the CPU if there is none.

    Raises:
        ValueError: ``dim`` is not positive.
    """

    def __init__(self, dim: int, *, unit_length: bool = True, device: torch.device | str | None = None) -> None:
        if dim < 1:
            raise ValueError(f'dim must be positive, got {dim}')
        self.dim = dim
        self.unit_length = unit_length
        self.device = choose_backend('torch', device)[1]

    def fit(self, features: np.ndarray, description: str | None = None) -> PCAWhitening:
        """Computes the mean (D,) and the projection (dim, D) of ``features``.

        Args:
            features: (N, D), in memory or memory-mapped.
            description: Label of a progress bar in a terminal; None shows no bar.

        Returns:
            This object.

        Raises:
            ValueError: There are not more rows than components, or fewer columns than components, a component has no
                variance, or a number is not finite.
        """
        count, width = features.shape
        if min(count - 1, width) < self.dim:  # centred rows sum to 0, so one of them is no direction of its own
            raise ValueError(
                f'{count} rows of {width} numbers do not have {self.dim} principal components: keep fewer components'
            )
        check_finite(features)
        shift = self._read(features, slice(0, 1))  # sums of differences to a row lose fewer digits than sums of rows
        total = torch.zeros(width, dtype=torch.float64, device=self.device)
        products = torch.zeros(width, width, dtype=torch.float64, device=self.device)
        for rows in bar(list(chunks(count, chunk_rows(width))), description):
            centred = self._read(features, rows) - shift
            total += centred.sum(0)
            products.addmm_(centred.T, centred)
        scatter = products - total[:, None] * total / count
        values, vectors = torch.linalg.eigh(scatter)
        self.eigenvalues, components = values.flip(0)[: self.dim], vectors.T.flip(0)[: self.dim]
        if self.eigenvalues[-1] <= 1e-12 * self.eigenvalues[0]:
            raise ValueError(
                f'the features vary in fewer than {self.dim} directions: keep fewer components, or check whether the '
                'features have collapsed'
            )
        largest = components.gather(1, components.abs().argmax(1, keepdim=True))
        self.mean = shift[0] + total / count
        self.projection = components * largest.sign() / self.eigenvalues.sqrt()[:, None]
        return self

    def transform(self, features: np.ndarray, description: str | None = None) -> np.ndarray:
        """Returns the whitened rows (N, dim), dtype of ``features``."""
        result = np.empty((len(features), self.dim), features.dtype)
        for rows in bar(list(chunks(len(features), chunk_rows(features.shape[1]))), description):
            whitened = (self._read(features, rows) - self.mean) @ self.projection.T
            result[rows] = (normalize(whitened, dim=1) if self.unit_length else whitened).cpu().numpy()
        return result

    def _read(self, features: np.ndarray, rows: slice) -> Tensor:
        return torch.tensor(features[rows]).to(self.device, torch.float64)
