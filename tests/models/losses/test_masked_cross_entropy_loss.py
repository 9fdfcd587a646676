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


def test_every_image_has_the_same_weight_if_asked_for():
    logits, words = torch.randn(2, 3, 5, dtype=torch.float64), torch.randint(0, 5, (2, 3))
    mask = torch.tensor([[True, False, False], [True, True, True]])
    errors = -logits.log_softmax(dim=-1).gather(2, words.unsqueeze(2)).squeeze(2)
    expected = (errors[0, 0] + errors[1].mean()) / 2
    assert_close(MaskedCrossEntropyLoss(per_image=True)(logits, words, mask), expected)
    nothing = torch.zeros_like(mask)
    assert MaskedCrossEntropyLoss(per_image=True)(logits, words, nothing) == 0
