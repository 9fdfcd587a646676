"""Euclidean and spherical k-means, computed by faiss or torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmssl.clustering.backend import bar, check_finite, choose_backend, chunk_rows, chunks, has_finite_distances

_PERTURBATION = 1 / 1024


class KMeans:
    """k-means by Lloyd's algorithm, as faiss runs it, with randomly drawn rows as initial centroids.

    Both backends start from the same rows, treat empty clusters in the same way and stop when the objective no longer
    changes, so they give the same centroids up to rounding. The backend ``'torch'`` reads the features chunk by chunk
    and sums in a fixed order, so a run repeats exactly on the same kind of device. It moves the mean of the centroids
    to the origin; faiss does not, and is inexact if the mean of the features is a thousand times their spread.

    After each update, an empty cluster gets a copy of the centroid of another cluster. Larger clusters are drawn with a
    higher probability. The coordinates of the two copies are multiplied by 1 + 1/1024 and 1 - 1/1024 alternately.
    ``assign`` with the final centroids can still leave clusters empty.

    Args:
        num_clusters: Number of clusters K.
        num_iterations: Largest number of iterations, each an assignment and an update.
        spherical: True assigns rows by the largest dot product and scales centroids to length 1; the rows must have
            length 1.
        seed: Seed of the initial centroids, which are distinct rows, and of the rows that ``max_points_per_centroid``
            keeps.
        max_points_per_centroid: Largest number of rows per cluster: of N rows, K times this number are drawn at random
            and clustered. None clusters all rows.
        empty_clusters: ``'split'`` treats empty clusters as described above; ``'keep'`` leaves the centroid of an empty
            cluster unchanged, which faiss does not offer, so torch computes.
        backend: ``'auto'``, ``'faiss'`` or ``'torch'``, see ``choose_backend``.
        device: Device on which torch computes; None means the first GPU, or the CPU if there is no GPU.

    Raises:
        ValueError: A number is not positive, or ``backend`` or ``empty_clusters`` is unknown.
    """

    def __init__(
        self,
        num_clusters: int,
        *,
        num_iterations: int = 20,
        spherical: bool = False,
        seed: int = 0,
        max_points_per_centroid: int | None = None,
        empty_clusters: str = 'split',
        backend: str = 'auto',
        device: torch.device | str | None = None,
    ) -> None:
        if min(num_clusters, num_iterations, 1 if max_points_per_centroid is None else max_points_per_centroid) < 1:
            raise ValueError(
                'num_clusters, num_iterations and max_points_per_centroid must be positive, got '
                f'{num_clusters}, {num_iterations} and {max_points_per_centroid}'
            )
        if empty_clusters not in ('split', 'keep'):
            raise ValueError(f"empty_clusters must be 'split' or 'keep', got {empty_clusters!r}")
        self.num_clusters = num_clusters
        self.num_iterations = num_iterations
        self.spherical = spherical
        self.seed = seed
        self.max_points_per_centroid = max_points_per_centroid
        self.empty_clusters = empty_clusters
        self.backend, self.device = choose_backend(backend, device)
        if empty_clusters == 'keep' and self.backend == 'faiss':  # faiss always splits
            self.backend = 'torch'
        self.objectives: list[float] = []

    def fit(
        self, features: np.ndarray, initial: np.ndarray | None = None, description: str | None = None
    ) -> np.ndarray:
        """Clusters the rows of ``features``.

        The attribute ``objectives`` then holds one number per iteration: the sum over the rows of the squared distance
        to the nearest centroid, or of the largest dot product if ``spherical``.

        Args:
            features: (N, D) float32, in memory or memory-mapped; the backend ``'torch'`` also takes float64, in which
                it then computes.
            initial: Initial centroids (K, D); None draws rows of ``features``.
            description: Label of a progress bar in a terminal; None shows no bar.

        Returns:
            Centroids (K, D), dtype of ``features``.

        Raises:
            ValueError: There are fewer rows than clusters, the arrays have wrong shapes, or a number is not finite.
        """
        rng = np.random.default_rng(self.seed)
        features = self._subsample(_checked(features, self.backend, self.num_clusters), rng)
        check_finite(features, distances=True)
        if initial is None:
            initial = features[rng.choice(len(features), self.num_clusters, replace=False)]
        centroids = np.array(initial, dtype=features.dtype)
        if centroids.shape != (self.num_clusters, features.shape[1]):
            raise ValueError(
                f'initial centroids must be ({self.num_clusters}, {features.shape[1]}), got {centroids.shape}'
            )
        if not has_finite_distances(centroids).all():  # faiss would end the process
            raise ValueError('the initial centroids hold numbers that are not finite, or too large for distances')
        self.objectives = []
        step = self._faiss_step if self.backend == 'faiss' else self._torch_step
        for _ in bar(range(self.num_iterations), description):
            updated, objective = step(features, self._normalized(centroids))
            if not np.isfinite(objective):
                raise ValueError('the features hold numbers that are not finite: they cannot be clustered')
            self.objectives.append(objective)
            centroids = updated
            if len(self.objectives) > 1 and objective == self.objectives[-2]:
                break  # the centroids have settled
        return self._normalized(centroids)

    def _subsample(self, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        limit = self.num_clusters * (self.max_points_per_centroid or len(features))
        if len(features) <= limit:
            return features
        return features[np.sort(rng.choice(len(features), limit, replace=False))]

    def _normalized(self, centroids: np.ndarray) -> np.ndarray:
        if not self.spherical:
            return centroids
        return centroids / np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), np.finfo(np.float32).tiny)

    def _faiss_step(self, features: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, float]:
        """Returns the next centroids and the objective of the assignment to ``centroids``."""
        import faiss

        count, dim = features.shape
        options = faiss.ClusteringParameters()
        options.niter, options.spherical = 1, self.spherical
        options.check_input_data_for_NaNs = False  # fit() has checked the features once
        options.min_points_per_centroid, options.max_points_per_centroid = 1, count
        clustering = faiss.Clustering(dim, self.num_clusters, options)
        faiss.copy_array_to_vector(centroids.ravel(), clustering.centroids)
        clustering.train(features, faiss.IndexFlatIP(dim) if self.spherical else faiss.IndexFlatL2(dim))
        updated = faiss.vector_to_array(clustering.centroids).reshape(self.num_clusters, dim)
        return updated, float(clustering.iteration_stats.at(0).obj)  # type: ignore[attr-defined]

    def _torch_step(self, features: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, float]:
        """Returns the next centroids and the objective of the assignment to ``centroids``."""
        means = torch.from_numpy(centroids).to(self.device)
        sums = torch.zeros(means.shape, dtype=torch.float64, device=self.device)
        counts = torch.zeros(len(means), dtype=torch.int64, device=self.device)
        objective = 0.0
        for rows in chunks(len(features), chunk_rows(max(means.shape))):
            points = torch.tensor(features[rows]).to(self.device)
            labels, scores = _nearest(points, means, self.spherical)
            lengths = torch.bincount(labels, minlength=len(means))
            # Sort rows by cluster and reduce segments: index_add_ on a GPU adds in an order that changes between calls.
            ordered = points[labels.argsort(stable=True)]
            sums += torch.segment_reduce(ordered, 'sum', lengths=lengths, axis=0)
            counts += lengths
            objective += scores.sum(dtype=torch.float64).item()
        filled = counts > 0
        moved = torch.where(filled[:, None], sums / counts.clamp_min(1)[:, None], means.double())
        updated = moved.to(means.dtype).cpu().numpy()
        if self.empty_clusters == 'split':
            split_empty_clusters(updated, counts.tolist())
        return updated, objective


def assign(
    features: np.ndarray,
    centroids: np.ndarray,
    *,
    backend: str = 'auto',
    device: torch.device | str | None = None,
    description: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest centroid of every row by Euclidean distance, chunk by chunk.

    For centroids of length 1 the nearest one also has the largest dot product.

    Args:
        features: (N, D) float32, in memory or memory-mapped; the backend ``'torch'`` also takes float64.
        centroids: (K, D).
        backend: ``'auto'``, ``'faiss'`` or ``'torch'``, see ``choose_backend``.
        device: Device on which torch computes; None means the first GPU, or the CPU if there is no GPU.
        description: Label of a progress bar in a terminal; None shows no bar.

    Returns:
        Labels (N,) int64 and squared distances (N,), dtype of ``features``.

    Raises:
        ValueError: The arrays have wrong shapes or types, or a number is not finite.
    """
    backend, device = choose_backend(backend, device)
    features = _checked(features, backend)
    check_finite(features, distances=True)
    centroids = np.ascontiguousarray(centroids, dtype=features.dtype)
    if centroids.ndim != 2 or not len(centroids) or centroids.shape[1] != features.shape[1]:
        raise ValueError(f'centroids must be (K, {features.shape[1]}) with K >= 1, got {centroids.shape}')
    if not has_finite_distances(centroids).all():
        raise ValueError('the centroids hold numbers that are not finite, or too large for distances')
    labels, distances = np.empty(len(features), np.int64), np.empty(len(features), features.dtype)
    parts = list(chunks(len(features), chunk_rows(max(centroids.shape))))
    if backend == 'faiss':
        import faiss

        index = faiss.IndexFlatL2(centroids.shape[1])
        index.add(centroids)
        for rows in bar(parts, description):
            nearest, found = index.search(features[rows], 1)[::-1]
            labels[rows], distances[rows] = nearest[:, 0], found[:, 0]
        return labels, distances
    means = torch.from_numpy(centroids).to(device)
    for rows in bar(parts, description):
        nearest, found = _nearest(torch.tensor(features[rows]).to(device), means)
        labels[rows], distances[rows] = nearest.cpu().numpy(), found.cpu().numpy()
    return labels, distances


def split_empty_clusters(centroids: np.ndarray, sizes: list[int]) -> int:
    """Splits a larger cluster for every empty one, with the rule and the random numbers of faiss.

    Args:
        centroids: (K, D), changed in place.
        sizes: Number of rows of each cluster, K numbers.

    Returns:
        Number of empty clusters before the call.
    """
    empty = [cluster for cluster, size in enumerate(sizes) if size == 0]
    if not empty:
        return 0
    shares = np.array(sizes, dtype=np.float64)
    spare = max(sum(sizes) - len(sizes), 1)
    generator = np.random.RandomState(1234)  # the Mersenne twister of faiss, with its seed
    factors = np.where(np.arange(centroids.shape[1]) % 2, 1 - _PERTURBATION, 1 + _PERTURBATION).astype(centroids.dtype)
    for cluster in empty:
        for attempt in range(10 * len(sizes)):
            donor = attempt % len(sizes)
            if np.float32(generator.randint(2**32, dtype=np.uint32) / 2**32) < np.float32((shares[donor] - 1) / spare):
                break
        else:
            donor = int(shares.argmax())
        centroids[cluster] = centroids[donor] * factors
        centroids[donor] *= 2 - factors
        shares[cluster] = shares[donor] = shares[donor] / 2
    return len(empty)


def _nearest(points: Tensor, means: Tensor, spherical: bool = False) -> tuple[Tensor, Tensor]:
    """Returns labels (N,) int64 and squared distances (N,), or the largest dot products (N,) if ``spherical``."""
    if spherical:
        scores, labels = (points @ means.T).max(1)
        return labels, scores
    # A distance is a difference of squares, which loses digits far from the origin.
    origin = means.mean(0)
    points, means = points - origin, means - origin
    lengths = means.square().sum(1)
    partial, labels = torch.addmm(lengths, points, means.T, alpha=-2).min(1)
    return labels, (partial + points.square().sum(1)).clamp_min(0)


def _checked(features: np.ndarray, backend: str, num_clusters: int = 1) -> np.ndarray:
    accepted = ('float32',) if backend == 'faiss' else ('float32', 'float64')
    if features.ndim != 2 or features.dtype.name not in accepted:
        raise ValueError(f'features must be (N, D) {" or ".join(accepted)}, got {features.shape} {features.dtype}')
    if not features.size:
        raise ValueError(f'there are no features to cluster, got {features.shape}')
    if len(features) < num_clusters:
        raise ValueError(f'{len(features)} rows cannot make {num_clusters} clusters: lower num_clusters')
    return features if features.flags.c_contiguous else np.ascontiguousarray(features)
