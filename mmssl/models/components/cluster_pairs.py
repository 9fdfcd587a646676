"""Positives and negatives from other images, by their clusters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.models.components.online_clusters import OnlineClusters
from mmssl.models.layers.indexed_noise import indexed_uniform
from mmssl.models.losses.numerics import in_full_precision


class ClusterPairs:
    """Draws a member of its cluster for each image, and images of other clusters (arXiv:2008.11702, section 3.2).

    The member is drawn uniformly and may be the image itself. Negatives are drawn without replacement from the most
    similar images of other clusters ("semihard"). The draws depend on the image and the seed, not on the process.

    Args:
        num_negatives: Number K of negatives per image.
        num_candidates: Number of most similar images from which they are drawn; K takes the hardest ones, None all
            images.

    Raises:
        ValueError: There are fewer candidates than negatives.
    """

    def __init__(self, num_negatives: int = 16384, num_candidates: int | None = 128000) -> None:
        if num_candidates is not None and num_candidates < num_negatives:
            raise ValueError(
                f'num_candidates must be at least num_negatives={num_negatives} or None, got {num_candidates}'
            )
        self.num_negatives, self.num_candidates = num_negatives, num_candidates

    def __call__(self, queries: Tensor, clusters: OnlineClusters, index: Tensor, seed: Tensor) -> Tensor:
        """Returns the cosine similarities (N, 1 + K) of queries to a member of their cluster and to negatives.

        A memory of fewer than K rows gives all. Where too few images have other clusters, the rest is -inf.

        Args:
            queries: (N, D); they need not be normalised.
            clusters: The memory.
            index: (N,) int64, the images of the queries.
            seed: Scalar int64, number of the step.
        """
        places = indexed_uniform(index, (1,), 2 * seed)[:, 0]
        members = clusters.members(index, places)[:, None]  # (N, 1)
        cosines = _cosines(queries, clusters.features)  # (N, L)
        others = cosines.masked_fill(clusters.labels[index, None] == clusters.labels, -torch.inf)
        with torch.no_grad():
            negatives = self.draw(others, index, 2 * seed + 1)
        return torch.cat([cosines.gather(1, members), others.gather(1, negatives)], dim=1)

    def draw(self, similarities: Tensor, index: Tensor, seed: Tensor) -> Tensor:
        """Draws rows (N, K) among the largest finite similarities (N, L), others only if there are too few."""
        length = similarities.shape[1]
        top, rows = similarities.topk(min(self.num_candidates or length, length), dim=1)
        if rows.shape[1] <= self.num_negatives:
            return rows
        drawn = indexed_uniform(index, (rows.shape[1],), seed).masked_fill(top.isinf(), -1)
        return rows.gather(1, drawn.topk(self.num_negatives, dim=1).indices)


@in_full_precision
def _cosines(queries: Tensor, rows: Tensor) -> Tensor:
    """Returns the cosine similarities (N, L) of queries (N, D) to unit rows (L, D)."""
    return normalize(queries, dim=1) @ rows.to(queries.dtype).T
