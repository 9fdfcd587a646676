"""The step of BoWNet between two trainings: fits a vocabulary of visual words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from mmssl.clustering.kmeans import KMeans, assign
from mmssl.clustering.scores import cluster_sizes, size_scores
from mmssl.config.dtypes import read_dtype
from mmssl.distributed.collectives import rank
from mmssl.engine.stages import StepReport
from mmssl.engine.steps.frozen import dataset_or_problem, frozen_network, plain_loader, try_images
from mmssl.evaluation.extract import extract_chosen
from mmssl.models.layers.visual_words import without_border
from mmssl.models.targets.visual_words_target import last_map
from mmssl.registry import STEPS
from mmssl.utils.errors import UserError


@STEPS.register_module()
class FitVocabulary:
    """Clusters the vectors of a frozen network's feature maps into words (BoWNet, arXiv:2002.12247, section 3.1).

    The vectors of all positions of randomly drawn images without augmentation are clustered by k-means with the squared
    Euclidean distance, without normalisation. Only the first process runs the step.

    The step writes ``vocabulary.npy`` (K, C), ``words.json`` with the frequency of each word in the drawn images, and
    ``words.png`` with the patches that are nearest to some of the words.

    Args:
        seed: Seed of the drawn images and of the initial words.
        dataloader: Config of a dataloader of images, with ``batch_size``, ``num_workers`` and ``dataset``, which has a
            ``transform``.
        backbone: Config of a backbone that returns feature maps; the last map is used.
        checkpoint: File of its weights, see ``frozen_network``.
        num_words: Number of words K.
        data_preprocessor: Config of the data preprocessor, see ``frozen_network``.
        sampled_images: Number of images to draw. All their vectors are kept in memory; 50 vectors per word are enough.
        num_iterations: Number of k-means iterations.
        border: Width in positions of the border of the feature map that is ignored; set the same in the target.
        dtype: ``'bfloat16'`` or ``'float16'`` extracts features under autocast; None uses the dtype of the weights.

    Raises:
        UserError: The images have fewer vectors than there are words.
    """

    def __init__(
        self,
        *,
        seed: int,
        dataloader: dict,
        backbone: dict,
        checkpoint: str | None = None,
        num_words: int = 2048,
        data_preprocessor: dict | None = None,
        sampled_images: int = 4096,
        num_iterations: int = 50,
        border: int = 0,
        dtype: str | None = None,
    ) -> None:
        self.seed, self.dataloader = seed, dataloader
        self.network: dict[str, Any] = dict(
            backbone=backbone, checkpoint=checkpoint, data_preprocessor=data_preprocessor
        )
        self.kmeans = KMeans(num_words, num_iterations=num_iterations, seed=seed)
        self.sampled_images, self.border, self.dtype = sampled_images, border, read_dtype(dtype)

    def run(self, folder: Path) -> None:
        """Extracts the vectors, clusters them, and draws some words."""
        if rank() != 0:
            return
        network: Any = frozen_network(**self.network)
        network.extract_feat = lambda images: self._positions(network.backbone(images))
        loader = plain_loader(self.dataloader, self.seed)
        dataset: Any = loader.dataset
        count = min(self.sampled_images, len(dataset))
        rows = np.sort(np.random.default_rng(self.seed).choice(len(dataset), count, replace=False)).tolist()
        features = extract_chosen(network, loader, rows, dtype=self.dtype, description='maps').vectors  # (I, P, C)
        vectors = features.flatten(0, 1).numpy()
        if len(vectors) < self.kmeans.num_clusters:
            raise UserError(
                f'{len(vectors):,} vectors of {count:,} images cannot make {self.kmeans.num_clusters:,} words: '
                'lower num_words or raise sampled_images'
            )
        words = self.kmeans.fit(vectors, description='words')
        np.save(folder / 'vocabulary.npy', words)
        labels, distances = assign(vectors, words, device=self.kmeans.device, description='nearest words')
        sizes = cluster_sizes(labels, len(words))
        scores = size_scores(sizes)
        (folder / 'words.json').write_text(json.dumps(dict(scores=scores, counts=sizes.tolist()), indent=2) + '\n')
        used = f'{len(words) - int(scores["empty"])} of {len(words)} words occur in {count} images'
        print_log(f'{used}; effective number of words {scores["effective"]:.0f}', logger='current')
        shape = features.shape[:2]
        from mmssl.visualization.word_sheet import word_sheet  # here, because matplotlib is slow to import

        picture = network.data_preprocessor.picture
        sheet = word_sheet(dataset, rows, labels.reshape(shape), distances.reshape(shape), self.border, picture=picture)
        sheet.savefig(folder / 'words.png', dpi=120)

    def _positions(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns the vectors of all positions without the border, (N, P, C)."""
        return without_border(last_map(features), self.border).flatten(2).transpose(1, 2)

    def dry_run(self, folder: Path) -> StepReport:
        """Measures one batch, and writes random words as placeholders."""
        network = frozen_network(**self.network, allow_random=True)
        number, problems = dataset_or_problem(self.dataloader, 'dataloader')
        features, per_image = try_images(network, self.dataloader)
        _, positions, dim = self._positions(features).shape
        words = self.kmeans.num_clusters
        stand_in = np.random.default_rng(self.seed).standard_normal((words, dim), dtype=np.float32)
        np.save(folder / 'vocabulary.npy', stand_in.clip(min=0))
        images = min(self.sampled_images, number or self.sampled_images)
        vectors = images * positions
        if vectors < words:
            problems.append(f'{vectors:,} vectors cannot make {words:,} words: lower num_words or raise sampled_images')
        lines = [
            f'{images:,} images with {positions} positions: {vectors:,} x {dim}, {vectors / words:.0f} for each word, '
            f'{8 * vectors * dim / 2**30:.2f} GiB of memory while they are collected',
            f'{images * per_image / 60:.1f} min to extract, then {self.kmeans.num_iterations} iterations of k-means '
            f'({self.kmeans.backend} on {self.kmeans.device})',
        ]
        return StepReport(lines, problems)
