"""Agreement of attention maps with masks."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mmssl.distributed.collectives import gather
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def attention_cosine(maps: Tensor, masks: Tensor) -> Tensor:
    """One minus the cosine of all maps of a batch and all masks, each read as one vector (CAST, arXiv:2012.04630).

    The official code takes the batch of each process; here it is the batch of all processes.

    Args:
        maps: (N, H, W), attention in [0, 1].
        masks: (N, H, W), what is salient, in [0, 1].

    Returns:
        Scalar in [0, 1] for values that are not negative; 0 if the maps are the masks up to a factor.
    """
    maps, masks = gather(maps.flatten(1)), gather(masks.flatten(1).to(maps.dtype))  # (M, H W)
    return 1 - cosine_similarity(maps.flatten(), masks.flatten(), dim=0)


@LOSSES.register_module()
class AttentionLoss(nn.Module):
    """CAST's loss of attention, see ``attention_cosine``."""

    def forward(self, maps: Tensor, masks: Tensor) -> Tensor:
        """Returns the loss, a scalar, of maps and masks (N, H, W)."""
        return attention_cosine(maps, masks)
