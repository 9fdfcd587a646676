"""Labellers: they turn the features of a training set into pseudo-labels for methods that learn from clusters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmssl.clustering.backend import choose_backend, chunk_rows, chunks
from mmssl.clustering.kmeans import KMeans, assign
from mmssl.clustering.sinkhorn import sinkhorn, transport_labels
from mmssl.clustering.whitening import PCAWhitening
from mmssl.registry import LABELLERS

FEATURES_FILE = 'features.npy'
Scores = Callable[[Tensor, int], Tensor]


@dataclass
class Labels:
    """The pseudo-labels of a training set.

    Args:
        labels: (H, N) int64, the cluster of each image for each of H heads.
        centroids: (H, K, D) float32; None if the labeller has no centroids.
        numbers: Name -> number, for the log.
    """

    labels: np.ndarray
    centroids: np.ndarray | None = None
    numbers: dict[str, float] = field(default_factory=dict)


class Labeller:
    """Base class of labellers.

    Args:
        num_clusters: Number of clusters K.
        num_heads: Number of independent labellings H, one per head of the network.

    Raises:
        ValueError: A number is not positive.
    """

    num_crops = 1
    """Number of crops per image whose features stand side by side in a row."""

    needs_scores = False
    """Whether ``label`` needs ``scores``."""

    has_centroids = False
    """Whether ``label`` returns centroids in the space of the features."""

    def __init__(self, num_clusters: int, num_heads: int = 1) -> None:
        if min(num_clusters, num_heads) < 1:
            raise ValueError(f'num_clusters and num_heads must be positive, got {num_clusters} and {num_heads}')
        self.num_clusters = num_clusters
        self.num_heads = num_heads

    def check(self, num_images: int) -> None:
        """Raises a ``ValueError`` if there are fewer images than clusters."""
        if num_images < self.num_clusters:
            raise ValueError(f'{num_images} images cannot make {self.num_clusters} clusters: lower num_clusters')

    @abstractmethod
    def label(self, features: np.ndarray, seed: int, scores: Scores | None = None) -> Labels:
        """Labels the images of ``features``.

        Args:
            features: (N, D) float32, in memory or memory-mapped.
            seed: Seed of all random draws.
            scores: Function (features (n, D), index of a head) -> logits (n, K) of that head of the network; only
                labellers that use the network's predictions need it.
        """

    @abstractmethod
    def memory(self, num_images: int, width: int) -> dict[str, int]:
        """Returns the memory of ``label`` without the features (N, ``width``): name of a use -> bytes."""


@LABELLERS.register_module()
class KMeansLabeller(Labeller):
    """Labels images with k-means on their features, which ``PCAWhitening`` can whiten first.

    DeepCluster (arXiv:1807.05520) uses ``whiten=256``. DeepCluster v2 (arXiv:2006.09882, Appendix D) uses
    ``num_heads=3, num_crops=2, spherical=True, num_iterations=10, empty_clusters='keep'``.

    Args:
        num_clusters: Number of clusters K.
        num_heads: Number of labellings H, each from its own initial centroids.
        num_crops: Number of crops per image, whose features stand side by side in a row; head h clusters the features
            of crop ``h % num_crops``.
        whiten: Number of principal components to keep, whiten and scale to length 1; None clusters the features
            themselves.
        **options: Arguments of ``KMeans``: ``num_iterations``, ``spherical``, ``max_points_per_centroid``,
            ``empty_clusters``, ``backend`` and ``device``.

    Raises:
        ValueError: A number is not positive, ``KMeans`` refuses an option, or ``seed`` is given, which is an argument
            of ``label``.
    """

    options_go_to = KMeans

    def __init__(
        self,
        num_clusters: int,
        num_heads: int = 1,
        num_crops: int = 1,
        whiten: int | None = None,
        **options: object,
    ) -> None:
        super().__init__(num_clusters, num_heads)
        if num_crops < 1 or (whiten is not None and whiten < 1):
            raise ValueError(
                f'num_crops and whiten (None: no whitening) must be positive, got {num_crops} and {whiten}'
            )
        if 'seed' in options:
            raise ValueError('KMeansLabeller takes no seed: its labellings follow the seed of the run')
        self.num_crops = num_crops
        self.whiten = whiten
        self.has_centroids = whiten is None
        self.options = options
        self.device = KMeans(num_clusters, **options).device  # type: ignore[arg-type]  # checks the options

    def check(self, num_images: int) -> None:
        """Raises a ``ValueError`` if there are fewer images than clusters, or not more than principal components."""
        super().check(num_images)
        if self.whiten is not None and num_images <= self.whiten:  # centred features vary in one direction less
            raise ValueError(f'{num_images} images do not have {self.whiten} principal components: lower whiten')

    def label(self, features: np.ndarray, seed: int, scores: Scores | None = None) -> Labels:
        """Labels the images by clustering their features once per head; ``scores`` is not used."""
        width = features.shape[1] // self.num_crops
        labels, centroids, objectives = [], [], []
        for head, head_seed in enumerate(np.random.SeedSequence(seed).generate_state(self.num_heads)):
            crop = head % self.num_crops
            rows = features[:, crop * width : (crop + 1) * width]
            if self.whiten is not None:
                whitening = PCAWhitening(self.whiten, device=self.device).fit(rows, 'principal components')
                rows = whitening.transform(rows, 'whitening')
            rows = np.ascontiguousarray(rows)
            kmeans = KMeans(self.num_clusters, seed=int(head_seed), **self.options)  # type: ignore[arg-type]
            centroids.append(kmeans.fit(rows, description='k-means'))
            found, _ = assign(rows, centroids[-1], backend=kmeans.backend, device=kmeans.device)
            labels.append(found)
            objectives.append(kmeans.objectives[-1] / len(rows))
        return Labels(np.stack(labels), np.stack(centroids), dict(kmeans_objective=float(np.mean(objectives))))

    def memory(self, num_images: int, width: int) -> dict[str, int]:
        """Returns the memory of ``label`` in bytes: copied rows, principal components, centroids, a chunk, labels."""
        width = width // self.num_crops
        dim = self.whiten or width
        copied = self.whiten is not None or self.num_crops > 1
        parts = {'rows that are clustered': 4 * num_images * dim if copied else 0}
        if self.whiten is not None:
            parts['principal components'] = 4 * 8 * width**2 + 4 * 8 * width * min(chunk_rows(width), num_images)
        parts['centroids'] = (3 * 4 + 8) * self.num_clusters * dim
        rows = min(chunk_rows(max(self.num_clusters, dim)), num_images)
        parts['distances of a chunk'] = 4 * rows * (self.num_clusters + 3 * dim)
        parts['labels'] = (8 * self.num_heads + 4 + 8) * num_images
        return parts


@LABELLERS.register_module()
class TransportLabeller(Labeller):
    """Labels images with the network's own predictions, balanced by optimal transport (SeLa, arXiv:1911.05371).

    ``sinkhorn`` scales the predictions so that all clusters have the same weight.

    Args:
        num_clusters: Number of clusters K.
        num_heads: Number of heads H.
        power: Exponent of the probabilities, lambda in the paper: 25 on ImageNet, 10 on CIFAR.
        tolerance: Largest error, see ``sinkhorn``: 0.1 on ImageNet, 0.01 on CIFAR.
        device: Device on which scores are computed and scaled; None means the first GPU, or the CPU if there is none.
        memory_limit: Largest size in bytes of the stored log-probabilities of one head. If they are larger, every
            iteration computes them from the features, which is slower. None means four fifths of the memory of a GPU
            that is free when the labels are computed, 12e9 on the CPU.

    Raises:
        ValueError: A number is not positive.
    """

    needs_scores = True

    def __init__(
        self,
        num_clusters: int,
        num_heads: int = 1,
        power: float = 25.0,
        tolerance: float = 0.1,
        device: str | None = None,
        memory_limit: float | None = None,
    ) -> None:
        super().__init__(num_clusters, num_heads)
        if not (power > 0 and tolerance > 0):
            raise ValueError(f'power and tolerance must be positive, got {power} and {tolerance}')
        self.power = power
        self.tolerance = tolerance
        self.device = choose_backend('torch', device)[1]
        self.memory_limit = memory_limit

    def _limit(self) -> float:
        """Returns the limit of the stored log-probabilities in bytes; a GPU has less free memory once it trains."""
        if self.memory_limit is not None:
            return self.memory_limit
        return 0.8 * torch.cuda.mem_get_info(self.device)[0] if self.device.type == 'cuda' else 12e9

    def label(self, features: np.ndarray, seed: int, scores: Scores | None = None) -> Labels:
        """Labels the images by balancing ``scores`` over the clusters, head by head; ignores ``seed``.

        Raises:
            ValueError: ``scores`` is None.
        """
        if scores is None:
            raise ValueError('TransportLabeller needs an algorithm with label_scores(features, head)')
        results = [self._label_head(features, scores, head) for head in range(self.num_heads)]
        labels, iterations = zip(*results)
        return Labels(np.stack(labels), None, dict(sinkhorn_iterations=float(np.mean(iterations))))

    @torch.no_grad()
    def _label_head(self, features: np.ndarray, scores: Scores, head: int) -> tuple[np.ndarray, int]:
        parts = list(chunks(len(features), chunk_rows(max(self.num_clusters, features.shape[1]))))

        def compute() -> Iterator[Tensor]:
            for rows in parts:
                yield torch.log_softmax(scores(torch.tensor(features[rows]).to(self.device), head).float(), 1)

        source = compute
        if 4 * len(features) * self.num_clusters <= self._limit():
            stored = list(compute())
            source = lambda: iter(stored)  # noqa: E731
        transport = sinkhorn(source, self.num_clusters, power=self.power, tolerance=self.tolerance)
        return transport_labels(source, transport, self.power).numpy(), transport.iterations

    def memory(self, num_images: int, width: int) -> dict[str, int]:
        """Returns the memory of ``label`` in bytes: log-probabilities of a head, a chunk, factors, labels."""
        table = 4 * num_images * self.num_clusters
        rows = min(chunk_rows(max(self.num_clusters, width)), num_images)
        return {
            'log-probabilities of a head': table if table <= self._limit() else 0,
            'scores of a chunk': 4 * 8 * rows * self.num_clusters,
            'factors of the images': 3 * 8 * num_images,
            'labels': 8 * self.num_heads * num_images,
        }


def features_memory(num_images: int, width: int, limit: float) -> tuple[str, int]:
    """Returns where float32 features (N, ``width``) are kept, and how many bytes they take.

    Args:
        num_images: Number of images N.
        width: Number of features per image.
        limit: Largest number of bytes in memory.

    Returns:
        ``'memory'``, or ``'file'`` if the features take more than ``limit`` bytes; and their bytes.
    """
    size = 4 * num_images * width
    return ('memory' if size <= limit else 'file'), size


def allocate_features(num_images: int, width: int, limit: float, folder: Path) -> np.ndarray:
    """Returns zeros (N, ``width``) float32, memory-mapped in ``folder`` if they take more than ``limit`` bytes."""
    if features_memory(num_images, width, limit)[0] == 'memory':
        return np.zeros((num_images, width), np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(folder / FEATURES_FILE, 'w+', np.float32, (num_images, width))
