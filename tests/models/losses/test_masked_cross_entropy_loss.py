"""The loss of BEiT: closed form, and what must not change it."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from mmssl.models.losses.masked_cross_entropy_loss import MaskedCrossEntropyLoss, masked_cross_entropy


def test_equal_values_of_all_words():
    loss = MaskedCrossEntropyLoss()(torch.zeros(2, 3, 8192), torch.randint(8192, (2, 3)), torch.ones(2, 3) > 0)
    assert_close(loss.item(), math.log(8192), rtol=0, atol=1e-5)


def test_mean_over_the_hidden_patches_alone():
    logits, words = torch.randn(3, 4, 7), torch.randint(7, (3, 4))
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]], dtype=torch.bool)
    assert_close(masked_cross_entropy(logits, words, mask), cross_entropy(logits[mask], words[mask]))
    assert masked_cross_entropy(logits, words, torch.zeros_like(mask)) == 0


def test_half_precision_is_widened():
    logits = torch.randn(2, 4, 7).bfloat16()
    mask, words = torch.ones(2, 4, dtype=torch.bool), torch.randint(7, (2, 4))
    loss = masked_cross_entropy(logits, words, mask)
    assert loss.dtype == torch.float32
    assert_close(loss, masked_cross_entropy(logits.float(), words, mask))
