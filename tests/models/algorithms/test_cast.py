"""What is true of CAST, on small parts in float64."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.algorithms.cast import CAST
from mmssl.models.layers.grad_cam import grad_cam, scale_to_unit
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from tests.support.small_parts import BACKBONE, DIM, build, continues_after_loading, half_masks, views

SAMPLES = dict(masks=half_masks(8, 16))


def _cast(**options) -> CAST:
    linear = dict(type='MLPProjector', in_channels=16, hidden_channels=None, out_channels=DIM, num_layers=1)
    algorithm = build(
        'CAST',
        backbone=dict(BACKBONE, out_indices=(1,)),
        head=dict(type='QueueContrastLoss', temperature=0.2),
        teacher=dict(momentum=0.9, schedule='constant'),
        queue=dict(length=16, dim=DIM),
        **dict(neck=dict(linear, last_bias=True)) | options,
    )
    algorithm.on_train_start()
    return algorithm


def test_without_attention_it_is_moco():
    algorithm, (x1, x2) = _cast(attention_weight=0.0), views(size=16)
    query, key = algorithm.neck(algorithm.backbone(x1)), algorithm.teacher(x2)
    losses = algorithm.loss([x1, x2], SAMPLES)
    assert_close(losses['loss_contrast'], queue_contrast(query, key, algorithm.queue.features, 0.2))
    assert losses['loss_attention'] == 0
    with pytest.raises(ValueError, match=r'attention_weight must lie in \[0, 1\], got 3'):
        _cast(attention_weight=3)


def test_the_attention_is_that_of_a_key_without_what_is_not_salient():
    algorithm, (x1, x2) = _cast(attention_weight=1.0), views(size=16)
    hidden = x2.clone()
    hidden[:, :, 8:] = torch.randn(8, 3, 8, 16, dtype=torch.float64)  # outside the mask
    losses = [algorithm.loss([x1, x], SAMPLES)['loss_attention'] for x in (x2, hidden)]
    assert_close(losses[0], losses[1])


def test_the_gradient_goes_through_the_gradient():
    algorithm, (x1, x2) = _cast(attention_weight=1.0).eval(), views(size=16)
    weight = algorithm.neck.layers[0].weight
    direction = torch.randn_like(weight)
    (gradient,) = torch.autograd.grad(algorithm.loss([x1, x2], SAMPLES)['loss_attention'], weight)
    moved = []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * 1e-5 * direction
            with torch.enable_grad():
                moved.append(algorithm.loss([x1, x2], SAMPLES)['loss_attention'].item())
            weight -= sign * 1e-5 * direction
    assert (gradient * direction).sum().item() == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-4)
    assert gradient.abs().max() > 1e-4


def test_half_precision_keeps_the_gradient_of_the_gradient():
    torch.manual_seed(0)
    algorithm, samples = _cast(attention_weight=1.0).float(), dict(masks=half_masks(8, 16))
    x1 = torch.randn(8, 3, 16, 16)
    images = [x1, x1 + 0.1 * torch.randn_like(x1)]
    parameters = [*algorithm.neck.parameters(), algorithm.backbone.layer2[1].bn2.weight]

    def gradient(scale, **autocast):
        with torch.autocast('cpu', **autocast):
            loss = algorithm.loss(images, samples)['loss_attention']
        return torch.cat([part.flatten() for part in torch.autograd.grad(scale * loss, parameters)]) / scale

    exact = gradient(1, enabled=False)
    half = gradient(2.0**16, dtype=torch.float16)  # the first scale of torch's loss scaler
    assert torch.cosine_similarity(half, exact, dim=0) > 0.999


def test_norms_of_the_neck_are_synchronised_by_a_layer_that_is_twice_differentiable():
    norms = dict(type='MLPProjector', in_channels=16, hidden_channels=8, out_channels=DIM)
    assert _cast(neck=norms).second_order and not _cast().second_order


def test_grad_cam_of_a_linear_score():
    maps = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    scores = (maps.mean(dim=(2, 3)) * torch.tensor([1.0, -2.0, 0.5])).sum(dim=1)
    assert_close(grad_cam(scores, maps), torch.einsum('nchw,c->nhw', maps, torch.tensor([1.0, -2, 0.5]).double()) / 16)
    unit = scale_to_unit(maps[:, 0])
    assert_close(unit.amin(dim=(1, 2)), torch.zeros(2).double())
    assert_close(unit.amax(dim=(1, 2)), torch.ones(2).double(), atol=1e-5, rtol=0)


def test_masks_are_needed():
    with pytest.raises(ValueError, match="needs masks of what is salient: use a dataset of type='SalientImages'"):
        _cast().loss(views(size=16), dict(index=torch.arange(8)))


def test_a_run_that_is_loaded_continues_with_the_same_bits():
    assert continues_after_loading(lambda: _cast(norm_group_size=4), views(size=16), SAMPLES)
