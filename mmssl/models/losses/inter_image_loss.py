"""InterCLR's loss: an image is close to its other view, and to another image of its cluster."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mmssl.models.losses.numerics import check_temperature, in_full_precision
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from mmssl.registry import LOSSES


@in_full_precision
def inter_image_contrast(similarities: Tensor, margin: float, temperature: float) -> Tensor:
    """InfoNCE with a cosine margin (Xie et al., 2022, arXiv:2008.11702, section 3.2).

    The margin is subtracted from the similarity to the positive. A negative margin makes the positive easier, so images
    of one cluster need not be equal.

    Args:
        similarities: (N, 1 + K), cosine similarities, the positive first; -inf leaves a negative out.
        margin: Margin of the positive; -0.5 in the paper.
        temperature: Divisor of the similarities, > 0.

    Returns:
        Scalar: mean (1 + K)-way cross entropy over the images.
    """
    positives, negatives = similarities[:, :1] - margin, similarities[:, 1:]
    first = torch.zeros_like(similarities[:, 0], dtype=torch.long)
    return cross_entropy(torch.cat((positives, negatives), dim=1) / temperature, first)


@LOSSES.register_module()
class InterImageLoss(nn.Module):
    """InterCLR's two terms, see ``queue_contrast`` (MoCo's loss) and ``inter_image_contrast``.

    Args:
        num_clusters: Number of clusters of images, which the labeller of ``PseudoLabelsHook`` has to make too.
        temperature: Divisor of the cosine similarities of both terms.
        margin: Margin of the second term's positive.
        share: Weight of the second term, in [0, 1]; the first has 1 - share.

    Raises:
        ValueError: ``temperature`` is not positive, or ``share`` is outside its range.
    """

    num_heads = 1

    def __init__(self, num_clusters: int, temperature: float = 0.2, margin: float = -0.5, share: float = 0.25) -> None:
        super().__init__()
        check_temperature(temperature)
        if not 0 <= share <= 1:
            raise ValueError(f'share must lie in [0, 1], got {share}')
        self.num_clusters, self.temperature, self.margin, self.share = num_clusters, temperature, margin, share

    def forward(self, queries: Tensor, keys: Tensor, queue: Tensor, similarities: Tensor | None) -> dict[str, Tensor]:
        """Returns ``loss_intra`` and ``loss_inter``, weighted; the second is 0 without similarities.

        Args:
            queries: (N, D).
            keys: (N, D), embeddings of the other view.
            queue: (Q, D), keys of earlier batches, unit rows.
            similarities: (N, 1 + K), of the queries to another image of their cluster and to negatives, or None.
        """
        intra = queue_contrast(queries, keys, queue, self.temperature)
        inter = intra.new_zeros(())
        if similarities is not None:
            inter = inter_image_contrast(similarities, self.margin, self.temperature)
        return dict(loss_intra=(1 - self.share) * intra, loss_inter=self.share * inter)
