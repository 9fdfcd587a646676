"""iGPT: what a prediction depends on, where the loss begins, completed images."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmssl.engine.micro_batches import use_micro_batches
from mmssl.models.backbones.pixel_transformer import PixelBlock
from mmssl.registry import ALGORITHMS

IMAGES = torch.randn(2, 3, 4, 4)


def build(causal: bool = True, **backbone):
    arch = dict(embed_dim=16, depth=2, num_heads=2)
    masker = {} if causal else dict(masker=dict(type='BernoulliMasker', ratio=0.5))
    return ALGORITHMS.build(
        dict(
            type='IGPT',
            backbone=dict(type='PixelTransformer', arch=arch, img_size=4, num_colors=8, causal=causal, **backbone),
            neck=dict(type='WordLogits', in_channels=16, out_channels=8),
            head=dict(type='MaskedCrossEntropyLoss', per_image=True),
            **masker,
        )
    ).eval()


def test_the_loss_begins_with_the_logarithm_of_the_colours():
    for causal in (True, False):
        assert_close(build(causal).loss([IMAGES])['loss'].item(), math.log(8))


def test_a_prediction_depends_on_the_pixels_before_it_alone():
    backbone = build().backbone
    words = torch.randint(0, 8, (1, 16))
    other = words.clone()
    other[0, 5] = (words[0, 5] + 1) % 8
    changed = (backbone.encode(words) - backbone.encode(other)).abs().amax(dim=-1)[0] > 0
    assert changed.tolist() == [place > 5 for place in range(16)]


def test_hidden_pixels_do_not_reach_the_network():
    backbone = build(causal=False).backbone
    words, mask = torch.randint(0, 8, (2, 16)), torch.rand(2, 16) < 0.4
    other = torch.where(mask, (words + 3) % 8, words)
    assert_close(backbone.encode(words, mask=mask), backbone.encode(other, mask=mask))
    assert (backbone.encode(words) - backbone.encode(other)).abs().max() > 1e-4


def test_keys_and_values_of_the_past_give_the_same_outputs():
    backbone, words = build().backbone, torch.randint(0, 8, (2, 16))
    whole, past = backbone.encode(words), {}
    parts = [backbone.encode(words[:, :7], past=past)]
    parts += [backbone.encode(words[:, : place + 1], past=past, start=place) for place in range(7, 16)]
    assert_close(torch.cat(parts, dim=1), whole)


def test_features_are_the_mean_of_the_next_blocks_normalised_input():
    model = build(feature_block=1)
    words = model.backbone.words(IMAGES)
    first, second = model.backbone.blocks
    assert isinstance(second, PixelBlock)
    x = model.backbone.color_embed(words).roll(1, dims=1)
    x[:, :1] = model.backbone.start_token
    expected = second.norm1(first(x + model.backbone.pos_embed)).mean(dim=1)
    assert_close(model.extract_feat(IMAGES), expected)


@pytest.mark.parametrize('causal', [True, False])
def test_micro_batches_split_the_transformer(causal):
    model, rows = build(causal), []
    whole = model.loss([IMAGES])['loss']
    use_micro_batches(model, 1)
    model.backbone.blocks[0].register_forward_pre_hook(lambda block, inputs: rows.append(len(inputs[0])))
    loss = model.loss([IMAGES])['loss']
    loss.backward()
    assert_close(loss, whole)
    assert rows == [1] * 4  # two images, forward and backward


@pytest.mark.parametrize('causal', [True, False])
def test_visible_pixels_of_a_completed_image_are_its_own(causal):
    model = build(causal)
    nn.init.normal_(model.neck.layer.weight)
    mask, words = model.reconstruct(IMAGES)
    assert torch.equal(words[~mask], model.target(IMAGES)[~mask]) and 0 < mask.sum() < 32
    if causal:
        assert mask.tolist() == [[False] * 8 + [True] * 8] * 2
    pixels = model.target.to_pixels(words, torch.randn(2, 3, 8, 8))
    assert pixels.shape == (2, 16, 2 * 2 * 3)
    assert torch.equal(model.target(pixels[..., :3].transpose(1, 2).unflatten(2, (4, 4))), words)


def test_larger_images_are_reduced():
    backbone = build().backbone
    assert torch.equal(backbone.words(IMAGES.repeat_interleave(2, 2).repeat_interleave(2, 3)), backbone.words(IMAGES))


def test_parts_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match='needs a causal backbone or a masker'):
        ALGORITHMS.build(
            dict(
                type='IGPT',
                backbone=dict(
                    type='PixelTransformer', arch=dict(embed_dim=16, depth=2, num_heads=2), img_size=4, num_colors=8
                ),
                neck=dict(type='WordLogits', in_channels=16, out_channels=8),
                head=dict(type='MaskedCrossEntropyLoss'),
                masker=dict(type='BernoulliMasker'),
            )
        )
    with pytest.raises(ValueError, match='feature_block must lie in 1 to 1'):
        build(feature_block=2)
