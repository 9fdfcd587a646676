"""BEiT: what it hides stays hidden, what is counted, what is evaluated."""

from __future__ import annotations

import random

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from mmssl.registry import ALGORITHMS

CONFIG = dict(
    type='BEiT',
    backbone=dict(
        type='BEiTViT', arch=dict(embed_dim=24, depth=2, num_heads=2), img_size=32, patch_size=8, output='tokens'
    ),
    masker=dict(type='BlockwiseMasker', num_hidden=7, min_block=6, patch_size=8),
    target=dict(
        type='TokenizerTarget',
        tokenizer=dict(type='DALLETokenizer', checkpoint=None, width=8, num_groups=3, num_tokens=11),
    ),
    neck=dict(type='PatchPredictor', in_channels=24, out_channels=11, bound=0.02),
    head=dict(type='MaskedCrossEntropyLoss'),
)


def test_loss_is_that_of_the_hidden_patches_by_boolean_indices():
    model, (images, other) = ALGORITHMS.build(CONFIG).eval(), torch.randn(2, 4, 3, 32, 32)
    rendering = other[..., :16, :16]
    torch.nn.init.normal_(model.neck.layer.weight)
    random.seed(2)
    found = model.loss([images, rendering])
    random.seed(2)
    mask = model.masker(images)
    assert mask.sum(dim=1).unique().numel() > 1
    tokens = model.backbone(images, mask=mask, mask_token=model.mask_token)[:, 1:]
    logits, words = model.neck.layer(tokens[mask]), model.target(rendering)[mask]
    assert len(logits) == mask.sum()
    assert_close(found['loss'], cross_entropy(logits, words))
    assert_close(found['accuracy'], (logits.argmax(dim=1) == words).double().mean(), check_dtype=False)


def test_hidden_pixels_and_the_tokenizers_rendering_are_apart():
    model, images = ALGORITHMS.build(CONFIG).eval(), torch.randn(4, 3, 32, 32)
    rendering = torch.randn(4, 3, 16, 16)
    random.seed(2)
    mask = model.masker(images)
    pixels = mask.view(4, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)

    def loss(images):
        random.seed(2)
        return model.loss([images, rendering])['loss']

    assert_close(loss(torch.where(pixels, images + 1, images)), loss(images))
    assert (loss(torch.where(pixels, images, images + 1)) - loss(images)).abs() > 1e-5


def test_the_mean_of_the_patches_is_evaluated():
    model, images = ALGORITHMS.build(CONFIG).eval(), torch.randn(2, 3, 32, 32)
    assert_close(model.extract_feat(images), model.backbone(images)[:, 1:].mean(dim=1))


def test_words_of_one_view_where_there_is_no_other():
    config = CONFIG | dict(
        target=dict(type='TokenizerTarget', tokenizer=dict(type='PatchCodebook', num_tokens=11, patch_size=8))
    )
    assert ALGORITHMS.build(config).loss([torch.randn(2, 3, 32, 32)])['loss'].isfinite()


def test_numbers_that_do_not_fit():
    with pytest.raises(ValueError, match='out_channels=9, the tokenizer 11 words'):
        ALGORITHMS.build(CONFIG | dict(neck=dict(type='PatchPredictor', in_channels=24, out_channels=9)))
    with pytest.raises(ValueError, match='gives 64 words to an image of 16 patches'):
        ALGORITHMS.build(CONFIG).loss([torch.randn(2, 3, 32, 32)])  # a rendering of half the size is missing
