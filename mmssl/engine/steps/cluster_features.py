"""ClusterFit's first step: clusters of the features of any network as labels."""

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
from mmssl.datasets.relabelled_images import image_name, write_labels
from mmssl.distributed.collectives import rank
from mmssl.engine.stages import StepReport
from mmssl.engine.steps.frozen import dataset_or_problem, frozen_network, plain_loader, try_images
from mmssl.evaluation.extract import extract_to_file
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import STEPS

_TIMED_ROWS = 512


@STEPS.register_module()
class ClusterFeatures:
    """Clusters the features of a frozen network and labels every image with its cluster (ClusterFit, arXiv:1912.03330).

    Features are the last map averaged over positions, of images without augmentation, divided by their length plus
    ``eps``. k-means is Euclidean. Images of ``test_dataloader`` are labelled with the nearest centroid of the others.
    Features lie in a memory-mapped file while they are needed. The first process clusters for all.

    Writes ``labels.txt`` and, with ``test_dataloader``, ``test_labels.txt`` (lines ``name label``), ``centroids.npy``
    (K, D) and ``clusters.json``: sizes, empty clusters, agreement with the labels of the dataset if it has some.

    Args:
        seed: Seed of the initial centroids and of the sub-sample.
        dataloader: Images to label: config with ``batch_size``, ``num_workers`` and ``dataset``, which has a
            ``transform``.
        backbone: Config of the network.
        checkpoint: File of its weights, see ``frozen_network``.
        num_clusters: Number K of clusters.
        test_dataloader: Images that are labelled and have no part in the centroids; None leaves them out.
        data_preprocessor: Config, see ``frozen_network``.
        num_iterations: Iterations of k-means.
        max_points_per_centroid: Only so many images per cluster, drawn at random, take part in k-means.
        eps: Added to the length of a feature before the division.
        dtype: ``'bfloat16'`` or ``'float16'`` extracts under autocast.
        num_images: Number of images that a dry run assumes where the data is not here.
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
        self.eps, self.dtype, self.num_images = eps, dtype, num_images

    def run(self, folder: Path) -> None:
        """Extracts, clusters and labels."""
        network = frozen_network(**self.network)
        centroids = None
        for file, config in self.loaders.items():
            loader = plain_loader(config, self.seed)
            stored = folder / 'features.npy'
            features = extract_to_file(network, loader, stored, dtype=self.dtype, description='features')
            if features is None:  # not the first process
                continue
            vectors = features.vectors.numpy()
            normalize_rows(vectors, self.eps)
            if centroids is None:
                centroids = self.kmeans.fit(vectors, description='k-means')
                np.save(folder / 'centroids.npy', centroids)
            labels, _ = assign(vectors, centroids, device=self.kmeans.device, description=file)
            dataset: Any = loader.dataset
            names = (image_name(dataset, index) for index in features.indices.tolist())
            comment = f'cluster of {self.kmeans.num_clusters} of each image, by {self.network["backbone"]["type"]}'
            write_labels(folder / file, names, labels.tolist(), comment)
            if file == 'labels.txt':
                self._write_scores(folder / 'clusters.json', labels, features.labels.numpy())
            del vectors, features
            stored.unlink()

    def _write_scores(self, file: Path, labels: np.ndarray, reference: np.ndarray) -> None:
        sizes = cluster_sizes(labels, self.kmeans.num_clusters)
        scores = size_scores(sizes) | agreement(labels, reference)
        file.write_text(json.dumps(dict(scores=scores, sizes=sizes.tolist()), indent=2) + '\n')
        print_log(f'clusters: {", ".join(f"{name} {value:.3g}" for name, value in scores.items())}', logger='current')
        if warning := collapse(sizes):
            print_log(warning, logger='current', level=30)

    def dry_run(self, folder: Path) -> StepReport:
        """Measures one batch and one assignment, and writes labels that number the images."""
        network = frozen_network(**self.network, allow_random=True)
        problems: list[str] = []
        lengths: dict[str, int | None] = {}
        for file, config in self.loaders.items():
            lengths[file], wrong = dataset_or_problem(config, file)
            problems += wrong
            if rank() == 0:
                dataset: Any = None if wrong else plain_loader(config, self.seed).dataset
                names = ['none'] if dataset is None else [image_name(dataset, row) for row in range(len(dataset))]
                labels = (number % self.kmeans.num_clusters for number in range(len(names)))
                write_labels(folder / file, names, labels, 'stand-ins of a dry run')
        maps, per_image = try_images(network, self.loaders['labels.txt'])
        dim, number = to_vector(maps).shape[1], lengths['labels.txt'] or self.num_images
        count = self.kmeans.num_clusters
        rng = np.random.default_rng(0)
        rows, centroids = (rng.standard_normal((n, dim), dtype=np.float32) for n in (_TIMED_ROWS, count))
        start = time.perf_counter()
        assign(rows, centroids, device=self.kmeans.device)
        per_row = (time.perf_counter() - start) / _TIMED_ROWS
        if number is None:
            return StepReport(['the number of images is not known: no figures'], problems)
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
        features: (N, D) float32, in memory or memory-mapped; a row of zeros stays one.
        eps: Positive.
    """
    for rows in chunks(len(features), chunk_rows(features.shape[1])):
        features[rows] /= np.linalg.norm(features[rows], axis=1, keepdims=True) + eps
