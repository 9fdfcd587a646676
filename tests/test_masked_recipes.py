"""What recipes of masked methods take from the official settings: decay, clipping, masks, crops."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmssl.config.load import load_config
from mmssl.registry import ALGORITHMS, NECKS
from tests.support.shrink import shrink

CONFIGS = Path(__file__).parents[1] / 'configs'
SWIN = 'simmim/simmim_swin-base_16xb128-100e_in1k.py'
VIT = 'simmim/simmim_vit-base_16xb128-800e_in1k.py'
BEIT = 'beit/beit_vit-base_16xb128-800e_in1k.py'
MASKFEAT = 'maskfeat/maskfeat_vit-base_64xb32-1600e_in1k.py'
A2MIM = 'a2mim/a2mim_resnet18_1xb512-400e_cifar10.py'
CAE = 'cae/cae_vit-base_32xb64-300e_in1k.py'
CONVMAE = 'convmae/convmae_convvit-base_24xb128-1600e_in1k.py'


def recipe(name: str):
    init_default_scope('mmssl')
    return load_config(CONFIGS / name)


@pytest.mark.parametrize(
    ('name', 'without'),
    [
        (SWIN, {'mask_token', 'relative_position_bias_table'}),
        (VIT, {'cls_token'}),
        (BEIT, {'cls_token'}),
        (MASKFEAT, set()),
        (CAE, set()),
        (CONVMAE, set()),
    ],
)
def test_what_does_not_decay_beside_vectors(name, without):
    cfg = shrink(recipe(name))
    model = ALGORITHMS.build(cfg.model)
    wrapper = dict(cfg.optim_wrapper, type='OptimWrapper', constructor='GroupedOptimWrapperConstructor')
    wrapper.pop('dtype', None)
    groups = build_optim_wrapper(model, wrapper).optimizer.param_groups
    decay = {id(parameter): group['weight_decay'] for group in groups for parameter in group['params']}
    assert set(decay.values()) == {0, 0.05}
    found = set()
    for parameter_name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim <= 1:
            assert decay[id(parameter)] == 0, parameter_name
        elif decay[id(parameter)] == 0:
            found.add(parameter_name.rpartition('.')[2])
    assert found == without


@pytest.mark.parametrize(('name', 'norm'), [(SWIN, 5.0), (VIT, 5.0), (BEIT, 3.0), (CAE, 3.0), (MASKFEAT, 0.02)])
def test_gradients_are_clipped_as_officially(name, norm):
    assert recipe(name).optim_wrapper.clip_grad == dict(max_norm=norm)


def test_masks_have_the_official_numbers():
    maskers = {name: recipe(name).model.masker for name in (SWIN, VIT, BEIT, MASKFEAT, CAE)}
    assert (maskers[CAE].num_hidden, maskers[CAE].min_block, maskers[CAE].exact) == (98, 16, True)
    assert (maskers[SWIN].unit_size, maskers[SWIN].patch_size, maskers[SWIN].ratio) == (32, 4, 0.6)
    assert (maskers[VIT].unit_size, maskers[VIT].patch_size, maskers[VIT].ratio) == (32, 16, 0.6)
    assert (maskers[BEIT].num_hidden, maskers[BEIT].min_block) == (75, 16)
    assert (maskers[MASKFEAT].num_hidden, maskers[MASKFEAT].min_block) == (round(0.4 * 196), 78 // 5)


def test_the_decoder_of_a2mim_begins_with_small_weights():
    neck = NECKS.build(recipe(A2MIM).model.neck)
    neck.init_weights()
    layer = neck.layers[0]
    assert abs(layer.weight.std() - 0.02) < 1e-3 and layer.weight.abs().max() > 0.04 and not layer.bias.any()


def test_crops_are_those_of_the_official_codes():
    views = {name: recipe(name).train_dataloader.dataset.views for name in (SWIN, BEIT, MASKFEAT)}
    smallest = {name: view[0].min_scale for name, view in views.items()}
    assert smallest == {SWIN: 0.67, BEIT: 0.08, MASKFEAT: 0.5}
    assert views[BEIT][1] == dict(type='SameView', size=112, interpolation='lanczos')
    colours = {name: view[0].get('jitter') for name, view in views.items()}
    assert colours == {SWIN: None, BEIT: (0.4, 0.4, 0.4, 0.0), MASKFEAT: None} and views[BEIT][0].jitter_prob == 1
