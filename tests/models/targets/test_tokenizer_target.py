"""Words of images: what the tokenizer sees, and that it stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.models.targets.tokenizer_target import TokenizerTarget
from mmssl.registry import COMPONENTS
from mmssl.utils.errors import UserError

DALLE = dict(type='DALLETokenizer', checkpoint=None, width=8, num_groups=3, num_tokens=16)


class Recorder(torch.nn.Module):
    """A tokenizer of a user's own, that keeps what it sees."""

    num_tokens = 7

    def forward(self, pixels):
        self.pixels = pixels
        return torch.zeros(len(pixels), 4, dtype=torch.int64)


def test_the_tokenizer_sees_the_pixels_that_the_preprocessor_normalised():
    COMPONENTS.register_module(name='RecorderForTest', force=True)(Recorder)
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    target = TokenizerTarget(dict(type='RecorderForTest'))
    assert target(SelfSupDataPreprocessor().prepare(images)).shape == (2, 4)
    assert_close(target.tokenizer.pixels, images / 255, rtol=0, atol=1e-5)
    assert target.num_tokens == 7


def test_the_tokenizer_is_not_trained():
    target = TokenizerTarget(DALLE).train()
    assert not target.tokenizer.training
    assert not any(parameter.requires_grad for parameter in target.parameters())
    words = target(torch.randn(2, 3, 16, 16, requires_grad=True))
    assert words.shape == (2, 16) and words.dtype == torch.int64 and words.max() < 16


def test_autocast_changes_no_words():
    target, images = TokenizerTarget(DALLE), torch.randn(2, 3, 16, 16)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(target(images), target(images))
        mixed = target(images)
    assert torch.equal(mixed, target(images))


def test_a_tokenizer_that_is_not_fitted_says_so():
    with pytest.raises(UserError, match='DALLETokenizer is not fitted'):
        TokenizerTarget(DALLE).fit(torch.randn(2, 3, 16, 16))
