"""What is true of DenseCL, on small parts in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.models.algorithms.densecl import DenseCL
from mmssl.models.layers.correspondence import match_positions
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from tests.support.small_parts import BACKBONE, DIM, build, continues_after_loading, views


def _densecl(out_index: int = 1, **options) -> DenseCL:
    algorithm = build(
        'DenseCL',
        backbone=dict(BACKBONE, out_indices=(out_index,)),
        neck=dict(type='DenseProjector', in_channels=8 * 2**out_index, hidden_channels=24, out_channels=DIM),
        head=dict(type='QueueContrastLoss', temperature=0.2),
        teacher=dict(momentum=0.9, schedule='constant'),
        queue=dict(length=16, dim=DIM),
        **options,
    )
    algorithm.on_train_start()
    return algorithm


def test_the_dense_loss_is_the_loop_of_the_paper():
    algorithm, (x1, x2) = _densecl(), views()
    q, k = algorithm.neck(algorithm.backbone(x1)), algorithm.teacher(x2)
    terms = []
    for n in range(len(x1)):
        d, positives = [], []
        for i in range(16):
            similar = torch.cosine_similarity(q.features[n].flatten(1)[:, i, None], k.features[n].flatten(1), dim=0)
            d.append(q.dense[n].flatten(1)[:, i])
            positives.append(k.dense[n].flatten(1)[:, similar.argmax()])
        terms.append(queue_contrast(torch.stack(d), torch.stack(positives), algorithm.dense_queue.features, 0.2))
    assert_close(algorithm.loss([x1, x2])['loss_dense'], 0.5 * torch.stack(terms).mean())


def test_a_map_of_one_position_gives_both_losses_equal_if_the_projectors_are():
    algorithm = _densecl(out_index=3)  # views of 8 px: a map of 1 x 1
    for owner in (algorithm, algorithm.teacher):
        for linear, conv in zip(owner.neck.global_layers[::2], owner.neck.dense_layers[::2]):
            conv.load_state_dict({'weight': linear.weight[..., None, None], 'bias': linear.bias})
    algorithm.dense_queue.load_state_dict(algorithm.queue.state_dict())
    losses = algorithm.loss(views())
    assert_close(losses['loss_global'], losses['loss_dense'])
    algorithm.on_step_end(0.5)
    assert_close(algorithm.queue.features, algorithm.dense_queue.features)


def test_the_second_queue_gets_the_average_of_embeddings_that_are_not_scaled():
    algorithm, (x1, x2) = _densecl(), views()
    pooled = algorithm.teacher(x2).dense.mean(dim=(2, 3))
    algorithm.loss([x1, x2])
    algorithm.on_step_end(0.5)
    assert_close(algorithm.dense_queue.features[:8], pooled / pooled.norm(dim=1, keepdim=True))


def test_without_the_dense_loss_it_is_moco():
    algorithm, (x1, x2) = _densecl(dense_weight=0.0), views()
    q, k = algorithm.neck(algorithm.backbone(x1)).vector, algorithm.teacher(x2).vector
    losses = algorithm.loss([x1, x2])
    assert_close(sum(losses.values()), queue_contrast(q, k, algorithm.queue.features, 0.2))
    with pytest.raises(ValueError, match=r'dense_weight must lie in \[0, 1\], got 2'):
        _densecl(dense_weight=2)


def test_a_view_matches_itself_position_by_position():
    algorithm, (x, _) = _densecl(), views()
    matches: Tensor = algorithm.match_views([x, x])
    assert torch.equal(matches, torch.arange(16).expand(8, 16))


def test_keys_are_shuffled_in_groups_with_all_their_maps():
    algorithm, (_, x) = _densecl(norm_group_size=4), views()
    algorithm.shuffle.permutation = lambda count, device: torch.tensor([5, 2, 7, 0, 3, 6, 1, 4])
    key = algorithm.shuffle(algorithm.teacher, x)
    group = algorithm.teacher(x[[5, 2, 7, 0]])
    for mine, theirs in zip(key, group):
        assert_close(mine[[5, 2, 7, 0]], theirs)


def test_a_run_that_is_loaded_continues_with_the_same_bits():
    assert continues_after_loading(lambda: _densecl(norm_group_size=4), views())


def test_positions_are_matched_in_full_precision():
    """Rounded to bfloat16, most similarities of these features are equal."""
    torch.manual_seed(0)
    maps = [1 + 0.05 * torch.randn(2, 32, 4, 4) for _ in range(2)]
    with torch.autocast('cpu', torch.bfloat16):
        matches = match_positions(*maps), match_positions(*(x.bfloat16() for x in maps))
    assert torch.equal(matches[0], match_positions(*maps))
    assert torch.equal(matches[1], match_positions(*(x.bfloat16().float() for x in maps)))
