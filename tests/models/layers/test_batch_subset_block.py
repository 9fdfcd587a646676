from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import nn
from torch.testing import assert_close

from mmssl.models.layers.batch_subset_block import BatchSubsetBlock, add_branch, gated_width


def block(rate: float) -> BatchSubsetBlock:
    torch.manual_seed(0)
    return BatchSubsetBlock(8, 2, drop_path=rate, init_values=1.0).double()


def test_without_a_rate_and_in_evaluation_it_is_timms_block():
    x = torch.randn(4, 3, 8, dtype=torch.float64)
    plain = Block(8, 2, init_values=1.0).double()
    plain.load_state_dict(block(0.5).state_dict())
    assert_close(block(0.0).train()(x), plain(x))
    assert_close(block(0.5).eval()(x), plain(x))


def test_a_branch_runs_on_part_of_the_batch_and_keeps_its_mean():
    x, layer, sizes = torch.randn(10, 3, 8, dtype=torch.float64), block(0.4).train(), []
    layer.norm1.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    layer.mlp = nn.Sequential(nn.Linear(8, 8)).double()
    nn.init.zeros_(layer.mlp[0].weight)
    nn.init.zeros_(layer.mlp[0].bias)
    mean = sum(layer(x) for _ in range(500)) / 500
    assert set(sizes) == {6}
    assert_close(mean, _attended(x), rtol=0.1, atol=0.1)


def _attended(x: torch.Tensor) -> torch.Tensor:
    layer = block(0.0)
    return x + layer.ls1(layer.attn(layer.norm1(x)))


def test_further_inputs_of_a_branch_stay_with_their_images():
    x, other = torch.randn(6, 3, 8), torch.randn(6, 3, 8)
    added = add_branch(x, lambda x, other: x * other, 0.5, other) - x
    kept = added.flatten(1).any(dim=1)
    assert kept.sum() == 3
    assert_close(added[kept], 2 * (x * other)[kept])


def test_one_image_is_always_kept():
    assert block(0.9).train()(torch.randn(2, 3, 8, dtype=torch.float64)).isfinite().all()


def test_widths_of_the_published_networks():
    assert [gated_width(4 * width) for width in (1024, 1536)] == [2736, 4096]
