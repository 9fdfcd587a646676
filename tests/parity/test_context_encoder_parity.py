"""The context encoder against numbers recorded from a restatement of its official Lua code."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from mmssl.config.load import load_config
from mmssl.registry import ALGORITHMS
from tests.parity.golden import CONFIGS, Golden, summary

RECIPE = 'contextencoder/contextencoder_dcgan_1xb64-500e_in1k.py'
# Index in netG.0, the encoder -> layer of ours.
_ENCODER = {0: '0.0.conv', **{3 * stage - 1: f'{stage}.0.conv' for stage in range(1, 5)}}
_ENCODER |= {3 * stage: f'{stage}.0.bn' for stage in range(1, 5)}


def _ours(name: str) -> str:
    encoder = re.fullmatch(r'netG\.0\.(\d+)\.(\w+)', name)
    if encoder and int(encoder[1]) < 14:
        return f'backbone.stages.{_ENCODER[int(encoder[1])]}.{encoder[2]}'
    name = re.sub(r'^netG\.0\.14\.', 'neck.layers.0.', name)  # the bottleneck
    return re.sub(r'^netG\.(\d+)\.', r'neck.layers.\1.', name).replace('netD.', 'discriminator.layers.')


def test_a_step(goldens_dir):
    golden = Golden(goldens_dir, 'context_encoder_restated')
    cfg = load_config(CONFIGS / RECIPE)
    cfg.model.neck.bottleneck = 100
    model = ALGORITHMS.build(cfg.model).double()
    weights, zeroed = golden.state_dict(), set(golden.record['state_overrides'])  # convolutions have no biases
    model.load_state_dict({_ours(name): x for name, x in weights.items() if name not in zeroed})
    model.hole.copy_(torch.tensor(golden.literals['fill_values'], dtype=torch.float64).view(3, 1, 1))
    seen: dict[str, list[Tensor]] = dict(code=[], fake=[], verdict=[])
    model.neck.layers[0].register_forward_hook(lambda module, args, out: seen['code'].append(out.clone()))
    model.discriminator.layers.register_forward_hook(lambda module, args, out: seen['verdict'].append(out.sigmoid()))
    model.neck.register_forward_hook(lambda module, args, out: seen['fake'].append(out))
    images = torch.tanh(0.5 * golden.inputs()['im'])
    losses = model.loss([images])
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()

    real, fake, hoped = (verdict.detach() for verdict in seen['verdict'])
    weight = model.weight
    outputs = dict(context=model.context(images), code=seen['code'][0], fake=seen['fake'][0], D_real=real, D_fake=fake)
    adversarial = -hoped.log().mean().item()
    found = {
        'D_real': -real.log().mean().item(),
        'D_fake': -(1 - fake).log().mean().item(),
        'G_adversarial': adversarial,
        'G_mse': losses['squared_error'].item(),
        'G_mse_weighted': losses['loss_reconstruction'].item(),
        'G_total_reported': (1 - weight) * adversarial + weight * losses['squared_error'].item(),
        'G_total_differentiated': (losses['loss_reconstruction'] + losses['loss_adversarial']).item(),
    }
    parameters, state = dict(model.named_parameters()), model.state_dict()
    names = [name for name in golden.record['grads'] if name not in zeroed]
    golden.record['grads'] = {name: golden.record['grads'][name] for name in names}
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': found,
            'grads': {name: summary(parameters[_ours(name)].grad) for name in names},
            'after_step': {name: summary(state[_ours(name)]) for name in golden.record['after_step']},
        }
    )
