from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d
from torch.testing import assert_close

from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.models.necks.bottleneck_attention import AttentionBlock, BottleneckAttention, MapAttention
from tests.support.distributed import run_distributed


def build(**options) -> BottleneckAttention:
    return BottleneckAttention(6, 8, 10, **dict(dict(num_blocks=2, num_heads=2, size=4), **options)).double()


def test_attention_is_softmax_over_keys_and_positions():
    attention, x = MapAttention(8, num_heads=2, size=3).double(), torch.randn(2, 8, 3, 3, dtype=torch.float64)
    q, k, v = attention.qkv(x).chunk(3, dim=1)
    embedding = attention.height[:, None] + attention.width
    expected = torch.empty_like(x)
    for n in range(2):
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            query, key, value = (part[n, own].flatten(1).T for part in (q, k, v))  # (9, 4)
            query = query * 4**-0.5
            logits = query @ key.T + query @ embedding.reshape(9, 4).T
            expected[n, own] = (logits.softmax(dim=1) @ value).T.reshape(4, 3, 3)
    assert_close(attention(x), expected)


def test_without_positions_attention_does_not_know_the_order():
    attention, x = MapAttention(8, num_heads=2, size=4), torch.randn(1, 8, 4, 4)
    assert not torch.allclose(attention(x.flip(2)), attention(x).flip(2), atol=1e-3)
    nn.init.zeros_(attention.height)
    assert_close(attention(x.flip(2)), attention(x).flip(2))
    assert not torch.allclose(attention(x.flip(3)), attention(x).flip(3), atol=1e-3)


@pytest.mark.parametrize('shape', [(4, 4), (3, 5), (7, 4), (1, 1)])
def test_any_map_is_halved_rounding_up(shape):
    neck = build()
    out = neck(torch.randn(2, 6, *shape, dtype=torch.float64))
    assert out.shape == (2, 10, *((length + 1) // 2 for length in shape))
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in neck.parameters())


def test_position_tables_follow_the_map():
    attention = MapAttention(4, num_heads=2, size=4)
    attention.height.data = torch.arange(4.0)[:, None].expand(4, 2).clone()
    larger = MapAttention(4, num_heads=2, size=8)
    larger.qkv, larger.width = attention.qkv, nn.Parameter(attention.width[:1].expand(8, 2))
    attention.width.data = attention.width[:1].expand(4, 2).clone()
    larger.height.data = torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])[:, None].expand(8, 2).clone()
    x = torch.randn(1, 4, 8, 8)
    assert_close(attention(x), larger(x))


def test_block_is_residual_and_pools_what_it_attended():
    block, x = AttentionBlock(6, 8, 6, num_heads=2, size=4).eval(), torch.randn(2, 6, 4, 4)
    nn.init.zeros_(block.norm_out.weight)
    assert_close(block(x), x.relu())
    block = AttentionBlock(6, 8, 10, num_heads=2, size=4, stride=2).eval()
    nn.init.zeros_(block.norm_out.weight)
    assert_close(block(x), block.shortcut(x))
    assert (block(x) >= 0).all()
    assert_close(block.pool(x), avg_pool2d(x, 2))


def test_initial_values():
    neck = BottleneckAttention(32, 64, 128, size=64)
    for name, parameter in neck.named_parameters():
        leaf = name.split('.')[-1]
        if leaf in ('height', 'width'):
            assert abs(parameter.std() * 4 - 1) < 0.15  # 16 channels per head
        elif parameter.ndim == 1:
            assert (parameter == (1 if leaf == 'weight' else 0)).all(), name  # last norms too
        else:
            fan_out = parameter.shape[0] * parameter[0, 0].numel()
            assert abs(parameter.std() * (fan_out / 2) ** 0.5 - 1) < 0.1, name


def test_a_batch_of_several_groups_is_that_of_several_processes():
    neck, images = build(norm_group_size=2), torch.randn(6, 6, 4, 4, dtype=torch.float64)
    whole = neck(images)
    assert_close(whole, torch.cat([neck(group) for group in images.split(2)]))
    neck.norm_group_size = None
    assert not torch.allclose(neck(images), whole, atol=1e-3)
    neck.norm_group_size = 4
    with pytest.raises(ValueError, match='norm_group_size=4 must divide the 6 images of a process'):
        neck(images)
    assert neck(images[:3]).shape[0] == 3  # less than a group is one
    neck.eval()
    assert_close(neck(images), torch.cat([neck(image[None]) for image in images]))


def test_norms_are_never_synchronised():
    for norms in run_distributed(_norms_after_conversion, 2):
        assert norms == {'neck': {'BatchNorm2d'}, 'other': {'SyncBatchNorm'}}


def _norms_after_conversion() -> dict[str, set[str]]:
    parts = convert_sync_batchnorm(nn.ModuleDict(dict(neck=build(), other=nn.BatchNorm2d(4))))
    return {
        name: {type(module).__name__ for module in part.modules() if 'BatchNorm' in type(module).__name__}
        for name, part in parts.items()
    }


def test_heads_divide_the_channels():
    with pytest.raises(ValueError, match='a multiple of num_heads=3, got 8'):
        build(num_heads=3)


def test_groups_have_images():
    with pytest.raises(ValueError, match='norm_group_size must be at least 1, .* got 0'):
        build(norm_group_size=0)
