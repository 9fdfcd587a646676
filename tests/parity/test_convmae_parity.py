"""ConvMAE against numbers recorded from its official implementation."""

from __future__ import annotations

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmssl.config.load import load_config
from mmssl.converters.convert import rename
from mmssl.registry import MODELS
from tests.parity.golden import CONFIGS, Golden, in_recorded_order, summary
from tests.support.undrawn import Undrawn

CASES = ('convmae_base_pixel', 'convmae_base_normpix')
FINETUNE = 'benchmarks/classification/finetune_convvit-base_32xb32-100e_in1k_convmae.py'


@pytest.fixture(scope='module')
def goldens(goldens_dir):
    return {case: Golden(goldens_dir, case) for case in CASES}


@pytest.fixture(scope='module')
def model(goldens):
    """The network of both cases, which differ in the target alone."""
    model = goldens[CASES[0]].build('convmae/convmae_convvit-base_24xb128-1600e_in1k.py', 'convmae')
    assert sum(p.numel() for p in model.parameters()) == goldens[CASES[0]].record['params']['total']
    return model


@pytest.mark.parametrize('case', CASES)
def test_a_step(goldens, model, case, monkeypatch):
    golden, seen = goldens[case], {}
    images, noise = golden.inputs().values()
    model.target.standardize = case.endswith('normpix')
    model.zero_grad()
    monkeypatch.setattr(torch, 'rand', lambda *size, device: noise)
    parts = dict(
        stage1_visible=model.backbone.stages[0][-1],
        stage2_visible=model.backbone.stages[1][-1],
        stage3=model.backbone.blocks[-1],
        latent=model.backbone,
        pred=model.neck,
    )
    hooks = [
        part.register_forward_hook(lambda part, args, output, name=name: seen.__setitem__(name, output.detach()))
        for name, part in parts.items()
    ]
    mask = model.masker(images)
    loss = model.loss([images])['loss']
    loss.backward()
    for hook in hooks:
        hook.remove()
    keep, recorded = model.masker.visible(mask), golden.literals['ids_keep']
    for name, side in (('stage1_visible', 4), ('stage2_visible', 2)):
        hidden = mask.view(-1, 1, 14, 14).repeat_interleave(side, 2).repeat_interleave(side, 3)
        seen[name] = seen[name].masked_fill(hidden, 0)
    for name in ('stage3', 'latent'):
        seen[name] = in_recorded_order(seen[name], keep, recorded)
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in (seen | dict(mask=mask.double())).items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'convmae'),
        }
    )


def test_the_classifier(goldens_dir):
    golden = Golden(goldens_dir, 'convmae_base_classifier')
    init_default_scope('mmssl')
    cfg = load_config(CONFIGS / FINETUNE, {'model.mix': None, 'model.backbone.drop_path_rate': 0.0})
    with Undrawn():
        model = MODELS.build(cfg.model).double()
    heads = {'fc_norm.': 'head.norm.', 'head.': 'head.fc.'}
    own = {
        name: next((o + name.removeprefix(t) for t, o in heads.items() if name.startswith(t)), None)
        or rename(name, 'convmae')
        for name, _ in golden.record['state_dict']
    }
    model.load_state_dict({own[name]: tensor for name, tensor in golden.state_dict().items()}, strict=True)
    assert sum(p.numel() for p in model.parameters()) == golden.record['params']['total']
    images, labels = golden.inputs()['imgs'], torch.tensor(golden.literals['labels'])
    logits = model.head.predict(model.backbone(images))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    golden.check(
        {
            'outputs': {'logits': summary(logits)},
            'losses': {'total': loss.item()},
            'grads': {name: summary(model.get_parameter(own[name]).grad) for name in golden.record['grads']},
        }
    )
    wrapper = dict(cfg.optim_wrapper, type='OptimWrapper', constructor='GroupedOptimWrapperConstructor')
    wrapper.pop('dtype')
    groups = build_optim_wrapper(model, wrapper).optimizer.param_groups
    settings = {id(p): (group['lr'], group['weight_decay']) for group in groups for p in group['params']}
    recorded = golden.record['expected']['lr_scales']
    assert recorded.keys() == own.keys()
    for name, (scale, decay) in recorded.items():
        lr, weight_decay = settings[id(model.get_parameter(own[name]))]
        assert lr / cfg.optim_wrapper.optimizer.lr == pytest.approx(scale, rel=1e-9), name
        assert weight_decay == decay, name
