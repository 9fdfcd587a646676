from __future__ import annotations

import pytest
import torch
from timm.layers import Attention
from torch import Tensor, nn

from mmssl.models.layers.grid_attention import GridAttention

DIM, HEADS = 16, 2


def build(**options) -> GridAttention:
    layer = GridAttention(DIM, HEADS, qkv_bias=True, **options).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def reference(layer: GridAttention, x: Tensor) -> Tensor:
    """Attention of one image's tokens (rows, columns, D), one query at a time, as the docstring states it."""
    rows, columns, _ = x.shape
    width = DIM // HEADS
    q, k, v = (part.view(rows, columns, HEADS, width) for part in layer.qkv(x).chunk(3, dim=-1))
    out = torch.empty_like(q)
    for row in range(rows):
        for column in range(columns):
            query = q[row, column]  # (heads, width)
            score = torch.einsum('hd,rchd->rch', query, k) / width**0.5
            if layer.rel_pos_h is not None:
                for other in range(rows):
                    score[other] += query @ layer.rel_pos_h[row - other + rows - 1]
                for other in range(columns):
                    score[:, other] += query @ layer.rel_pos_w[column - other + columns - 1]
            weights = score.flatten(0, 1).softmax(dim=0)
            out[row, column] = torch.einsum('lh,lhd->hd', weights, v.flatten(0, 1))
    return layer.proj(out.flatten(2))


def test_the_whole_grid_without_relative_positions_is_timms_attention():
    layer = build()
    timms = Attention(DIM, HEADS, qkv_bias=True).double()
    timms.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 5, DIM, dtype=torch.float64)
    torch.testing.assert_close(layer(x).flatten(1, 2), timms(x.flatten(1, 2)))


def test_relative_positions_of_the_whole_grid():
    layer = build(relative_size=4)
    x = torch.randn(2, 4, 4, DIM, dtype=torch.float64)
    torch.testing.assert_close(layer(x), torch.stack([reference(layer, image) for image in x]))


@pytest.mark.parametrize('relative_size', [0, 64])
def test_each_window_attends_to_itself_alone_with_its_padding(relative_size):
    layer = build(window_size=3, relative_size=relative_size)
    x = torch.randn(1, 5, 6, DIM, dtype=torch.float64)
    padded = torch.cat([x, x.new_zeros(1, 1, 6, DIM)], dim=1)[0]
    expected = torch.cat(
        [torch.cat([reference(layer, padded[r : r + 3, c : c + 3]) for c in (0, 3)], dim=1) for r in (0, 3)]
    )
    torch.testing.assert_close(layer(x)[0], expected[:5])
    changed = x.clone()
    changed[:, :3, :3] += 1
    same = torch.isclose(layer(changed), layer(x)).all(dim=-1)[0]
    assert not same[:3, :3].any() and same[3:].all() and same[:, 3:].all()


def test_gradients_of_relative_positions_are_those_of_the_direct_form():
    layer = build(relative_size=3)
    x = torch.randn(1, 3, 3, DIM, dtype=torch.float64)
    parameters = list(layer.parameters())
    found = torch.autograd.grad(layer(x).square().sum(), parameters)
    expected = torch.autograd.grad(reference(layer, x[0]).square().sum(), parameters)
    for left, right in zip(found, expected):
        torch.testing.assert_close(left, right)


def test_relative_positions_follow_another_grid_linearly():
    layer = build(relative_size=3)
    with torch.no_grad():
        layer.rel_pos_h.copy_(torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None].expand(5, DIM // HEADS))
        layer.rel_pos_w.zero_()
    longer = build(relative_size=5)
    state = layer.state_dict()
    place = ((torch.arange(9, dtype=torch.float64) + 0.5) * 5 / 9 - 0.5).clamp(0, 4)  # among the five distances
    state['rel_pos_h'] = (place / 2 - 1)[:, None].expand(9, DIM // HEADS)
    state['rel_pos_w'] = torch.zeros(9, DIM // HEADS)
    longer.load_state_dict(state)
    x = torch.randn(1, 5, 5, DIM, dtype=torch.float64)
    torch.testing.assert_close(layer(x), longer(x))
    longer.load_state_dict(layer.state_dict())  # resized on loading
    torch.testing.assert_close(layer(x), longer(x))


def test_a_checkpoint_without_relative_positions_loads_and_changes_nothing_at_first():
    plain, layer = build(), GridAttention(DIM, HEADS, qkv_bias=True, relative_size=4).double()
    layer.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(1, 4, 4, DIM, dtype=torch.float64)
    torch.testing.assert_close(layer(x), plain(x))


def test_no_matrix_of_all_pairs_is_kept_for_the_backward_pass():
    layer = GridAttention(DIM, HEADS, qkv_bias=True, relative_size=32)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        layer(torch.randn(1, 32, 32, DIM))
    assert max(sizes) < HEADS * 1024 * 1024 // 4


def test_options_of_timm_that_would_have_no_effect_are_refused():
    with pytest.raises(TypeError, match='qk_norm'):
        build(qk_norm=True, norm_layer=nn.LayerNorm)
