"""The first step of ClusterFit: clusters the features of a frozen network to label images."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmssl.clustering.backend import chunk_rows, chunks
from mmssl.clustering.kmeans import KMeans, assign
from mmssl.clustering.scores import agreement, cluster_sizes, collapse, size_scores
from mmssl.config.dtypes import read_dtype
from mmssl.datasets.relabelled_images import image_name, write_labels
from mmssl.distributed.collectives import patient_barrier, rank
from mmssl.engine.stages import StepReport
from mmssl.engine.steps.frozen import dataset_or_problem, frozen_network, plain_loader, try_images
from mmssl.evaluation.extract import Features, extract_to_file
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import STEPS
from mmssl.utils.errors import UserError

_TIMED_ROWS = 512


@STEPS.register_module()
class ClusterFeatures:
    """Clusters the features of a frozen network and labels every image with its cluster (ClusterFit, arXiv:1912.03330).

    The features of an image without augmentation are its last feature map averaged over positions, divided by
    (length + ``eps``). They are clustered by Euclidean k-means. Images of ``test_dataloader`` do not take part in
    k-means and get the nearest centroid. Features are stored in a memory-mapped file that is deleted afterwards. The
    first process clusters; the others only extract features.

    The step writes ``labels.txt`` and, with ``test_dataloader``, ``test_labels.txt`` (lines ``name label``),
    ``centroids.npy`` (K, D), and ``clusters.json`` with the sizes of the clusters and their agreement with the labels
    of the dataset, if it has labels.

    Args:
        seed: Seed of the initial centroids and of the drawn images.
        dataloader: Config of a dataloader of the images to label, with ``batch_size``, ``num_workers`` and
            ``dataset``, which has a ``transform``.
        backbone: Config of the backbone.
        checkpoint: File of its weights, see ``frozen_network``.
        num_clusters: Number of clusters K.
        test_dataloader: Config of a dataloader of images to label that take no part in k-means; None has no such
            images.
        data_preprocessor: Config of the data preprocessor, see ``frozen_network``.
        num_iterations: Number of k-means iterations.
        max_points_per_centroid: Largest number of images per cluster in k-means, drawn at random.
        eps: Number that is added to the length of a feature before the division.
        dtype: ``'bfloat16'`` or ``'float16'`` extracts features under autocast; None uses the dtype of the weights.
        num_images: Number of images that a dry run assumes if the data is missing.
    """

    def __init__(
        self,
        *,
        seed: int,
        dataloader: dict,
        backbone: dict,
        checkpoint: str | None = None,
        num_clusters: int = 1000,
        test_dataloader: dict | None = None,
        data_preprocessor: dict | None = None,
        num_iterations: int = 50,
        max_points_per_centroid: int = 256,
        eps: float = 1e-5,
        dtype: str | None = None,
        num_images: int | None = None,
    ) -> None:
        self.seed = seed
        self.loaders = {'labels.txt': dataloader}
        if test_dataloader is not None:
            self.loaders['test_labels.txt'] = test_dataloader
        self.network: dict[str, Any] = dict(
            backbone=backbone, checkpoint=checkpoint, data_preprocessor=data_preprocessor
        )
        self.kmeans = KMeans(
            num_clusters, num_iterations=num_iterations, seed=seed, max_points_per_centroid=max_points_per_centroid
        )
        self.eps, self.dtype, self.num_images = eps, read_dtype(dtype), num_images

    def run(self, folder: Path) -> None:
        """Extracts the features, clusters them and writes the labels.

        Raises:
            UserError: There are fewer images than clusters; it is raised before the features are extracted.
        """
        network = frozen_network(**self.network)
        loaders = {file: plain_loader(config, self.seed) for file, config in self.loaders.items()}
        number, count = len(loaders['labels.txt'].dataset), self.kmeans.num_clusters  # type: ignore[arg-type]
        if number < count:
            raise UserError(f'{number:,} images cannot make {count:,} clusters: lower num_clusters of the step')
        wait, centroids = patient_barrier(), None
        for file, loader in loaders.items():
            stored = folder / 'features.npy'
            try:
                features = extract_to_file(network, loader, stored, dtype=self.dtype, description='features')
                if features is not None:  # on the first process
                    centroids = self._write_labels(folder, file, features, loader.dataset, centroids)
                del features
            finally:
                if rank() == 0:
                    stored.unlink(missing_ok=True)
            wait()

    def _write_labels(
        self, folder: Path, file: str, features: Features, dataset: Any, centroids: np.ndarray | None
    ) -> np.ndarray:
        """Writes the labels of the images of ``features``, and returns the centroids, which None lets it compute."""
        vectors = features.vectors.numpy()
        normalize_rows(vectors, self.eps)
        if centroids is None:
            centroids = self.kmeans.fit(vectors, description='k-means')
            np.save(folder / 'centroids.npy', centroids)
        labels, _ = assign(vectors, centroids, device=self.kmeans.device, description=file)
        names = (image_name(dataset, index) for index in features.indices.tolist())
        comment = f'cluster of each image, out of {self.kmeans.num_clusters}, by {self.network["backbone"]["type"]}'
        write_labels(folder / file, names, labels.tolist(), comment)
        if file == 'labels.txt':
            self._write_scores(folder / 'clusters.json', labels, features.labels.numpy())
        return centroids

    def _write_scores(self, file: Path, labels: np.ndarray, reference: np.ndarray) -> None:
        sizes = cluster_sizes(labels, self.kmeans.num_clusters)
        scores = size_scores(sizes) | agreement(labels, reference)
        file.write_text(json.dumps(dict(scores=scores, sizes=sizes.tolist()), indent=2) + '\n')
        print_log(f'clusters: {", ".join(f"{name} {value:.3g}" for name, value in scores.items())}', logger='current')
        if warning := collapse(sizes):
            print_log(warning, logger='current', level=30)

    def dry_run(self, folder: Path) -> StepReport:
        """Measures one batch and one assignment, and writes placeholder labels: the image's number modulo K."""
        network = frozen_network(**self.network, allow_random=True)
        problems: list[str] = []
        lengths: dict[str, int | None] = {}
        for file, config in self.loaders.items():
            lengths[file], wrong = dataset_or_problem(config, file)
            problems += wrong
            dataset: Any = None if wrong else plain_loader(config, self.seed).dataset
            names = ['none'] if dataset is None else [image_name(dataset, row) for row in range(len(dataset))]
            labels = (number % self.kmeans.num_clusters for number in range(len(names)))
            write_labels(folder / file, names, labels, 'placeholders of a dry run')
        maps, per_image = try_images(network, self.loaders['labels.txt'])
        dim, number = to_vector(maps).shape[1], lengths['labels.txt'] or self.num_images
        count = self.kmeans.num_clusters
        rng = np.random.default_rng(0)
        rows, centroids = (rng.standard_normal((n, dim), dtype=np.float32) for n in (_TIMED_ROWS, count))
        start = time.perf_counter()
        assign(rows, centroids, device=self.kmeans.device)
        per_row = (time.perf_counter() - start) / _TIMED_ROWS
        if number is None:
            return StepReport(['the number of images is not known, so memory and time are not known'], problems)
        if number < count:
            problems.append(f'{number:,} images cannot make {count:,} clusters')
        used = min(number, count * (self.kmeans.max_points_per_centroid or number))
        memory = 4 * used * dim * (used < number) + 16 * count * dim + 2 * 4 * chunk_rows(max(count, dim)) * count
        lines = [
            f'features: {number:,} x {dim}, a file of {4 * number * dim / 2**30:.2f} GiB while the step runs',
            f'memory beside the network and the file: {memory / 2**30:.2f} GiB',
            f'time: {number * per_image / 60:.1f} min to extract (one process, without decoding), '
            f'{used * per_row / 60:.1f} min for each of at most {self.kmeans.num_iterations} iterations of k-means '
            f'({self.kmeans.backend} on {self.kmeans.device})',
        ]
        return StepReport(lines, problems)


def normalize_rows(features: np.ndarray, eps: float = 1e-5) -> None:
    """Divides every row by its Euclidean length plus ``eps``, in place, chunk by chunk.

    Args:
        features: (N, D) float32, in memory or memory-mapped; a row of zeros does not change.
        eps: Positive number that is added to the length.
    """
    for rows in chunks(len(features), chunk_rows(features.shape[1])):
        features[rows] /= np.linalg.norm(features[rows], axis=1, keepdims=True) + eps
