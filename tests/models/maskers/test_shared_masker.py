"""One mask for a batch: equal rows, the positions on the host, the official number of visible patches."""

from __future__ import annotations

import random

import pytest
import torch

from mmssl.models.maskers.shared_masker import SharedMasker


def test_all_images_share_the_mask_whose_positions_are_known():
    masker = SharedMasker(ratio=0.75, patch_size=32)
    random.seed(0)
    mask = masker(torch.zeros(3, 3, 224, 224))
    assert mask.shape == (3, 49) and (mask == mask[0]).all()
    assert masker.positions == (~mask[0]).nonzero().flatten().tolist() == masker.visible(mask)[1].tolist()
    assert len(masker.positions) == 12
    assert not torch.equal(masker(torch.zeros(1, 3, 224, 224))[0], mask[0])


def test_a_ratio_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match='must lie in'):
        SharedMasker(ratio=0.0)
