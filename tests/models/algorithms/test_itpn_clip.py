"""iTPN with CLIP: shapes, what each prediction may see, what trains."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.registry import ALGORITHMS
from tests import test_world_size as every_method
from tests.parity.golden import CONFIGS
from tests.support.shrink import shrink

RECIPE = 'itpn/itpn_hivit-base-clip_32xb64-300e_in1k.py'
LARGE = 'itpn/itpn_hivit-large-clip_32xb64-300e_in1k.py'


def small(**options):
    cfg: Config = shrink(load_config(CONFIGS / RECIPE))
    cfg.merge_from_dict(options)
    torch.manual_seed(0)
    return ALGORITHMS.build(cfg.model)


def predictions(model, images, mask):
    fine, middle, early, coarse = model.backbone(images, mask=mask, mask_token=model.mask_token)
    return model.neck((fine, middle, coarse), early)


def test_shapes_and_parameters_of_the_base_model():
    cfg = load_config(CONFIGS / RECIPE)
    with torch.device('meta'):
        model = ALGORITHMS.build(cfg.model)
        stages = model.backbone(torch.empty(2, 3, 224, 224))
        pyramid = model.neck.pyramid((stages[0], stages[1], stages[3]))
        both = model.neck((stages[0], stages[1], stages[3]), stages[2])
    assert [tuple(level.shape) for level in pyramid] == [(2, 196, side, side, 256) for side in (4, 2, 1)]
    assert [tuple(prediction.shape) for prediction in both] == [(2, 196, 512)] * 2
    names = ('backbone.blocks', 'neck.embed', 'neck.predict', 'neck.early_predict', 'neck.early_blocks')
    counts = [sum(p.numel() for p in model.get_submodule(name).parameters()) for name in names]
    assert counts == [77_962_816, 174_240, 262_656, 262_656, 6_318_480]


@pytest.mark.parametrize(
    ('recipe', 'options', 'expected'),
    [
        (RECIPE, {'model.neck.out_channels': 768}, 89_000_944),
        (LARGE, {'model.neck.out_channels': 768}, 307_452_904),
        (
            LARGE,
            {'model.neck.out_channels': 768, 'model.neck.grid_size': 16, 'model.backbone.img_size': 256},
            307_615_912,
        ),
    ],
)
def test_parameters_with_the_large_teacher(recipe, options, expected):
    with torch.device('meta'):
        model = ALGORITHMS.build(load_config(CONFIGS / recipe, options).model)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == expected


def test_only_the_early_prediction_is_blind_to_hidden_units():
    model = small().eval()
    images, mask = torch.randn(2, 3, 32, 32), torch.zeros(2, 16, dtype=torch.bool)
    mask[0, 6] = True
    changed = images.clone()
    changed[0, :, 8:16, 16:24] = torch.randn(3, 8, 8)
    (main, early), (other_main, other_early) = (predictions(model, x, mask) for x in (images, changed))
    assert torch.equal(early, other_early)
    differs = (main != other_main).any(dim=-1)
    assert differs.nonzero().tolist() == [[0, 6]]


def test_the_loss_compares_both_with_the_teacher_of_the_second_view():
    model = small().eval()
    student, teacher = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    mask = torch.rand(2, 16) < 0.5
    model.masker.forward = lambda images: mask
    losses = model.loss([student, teacher])
    target = model.target(teacher)
    for loss, prediction in zip(losses.values(), predictions(model, student, mask)):
        assert_close(loss, torch.nn.functional.smooth_l1_loss(prediction, target))
    assert not torch.allclose(losses['loss'], model.loss([student])['loss'])


@pytest.mark.parametrize(
    'check',
    [
        every_method.test_processes_share_a_batch_without_changing_the_step,
        every_method.test_a_step_never_waits_for_the_device,
    ],
)
def test_what_holds_for_every_method(check, tmp_path):
    recipe = tmp_path / 'clip.py'  # each process would drop its own paths
    recipe.write_text(f"_base_ = ['{CONFIGS / RECIPE}']\nmodel = dict(neck=dict(drop_path_rates=(0.0, 0.0)))\n")
    check(str(recipe))


def test_what_trains_and_what_is_saved():
    model = small()
    model.init_weights()
    sum(model.loss([torch.randn(2, 3, 32, 32)] * 2).values()).backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == {name for name, _ in model.named_parameters() if not name.startswith('target.')}
    assert set(model.state_dict()) == with_gradient
