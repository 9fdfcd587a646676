"""The adder layer and two training steps of ResNet-20 against the official implementation."""

from __future__ import annotations

import math

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmssl.config.load import load_config
from mmssl.converters.convert import rename
from mmssl.engine.optimizers.local_rate import use_local_rates
from mmssl.models.layers.adder2d import Adder2d
from mmssl.registry import MODELS
from tests.parity.golden import CONFIGS, Golden, summary

RECIPE = CONFIGS / 'addernet' / 'addernet_resnet20_1xb256-400e_cifar10.py'


def _unit_normal(golden: Golden) -> None:
    """Filters are N(0, 1), as the official constructor makes them."""
    shapes = {name: shape for name, shape in golden.record['state_dict'] if name.endswith('.adder')}
    scales = {name: dict(scale=math.prod(shape[1:]) ** 0.5) for name, shape in shapes.items()}
    golden.record['state_overrides'] = scales


def test_layer(goldens_dir):
    golden = Golden(goldens_dir, 'addernet_layer')
    _unit_normal(golden)
    inputs, outputs, grads = golden.inputs(), {}, {}
    for name, filters in golden.state_dict().items():
        tag = name.removesuffix('.adder')
        kernel, stride, padding = map(int, tag.replace('k', '').replace('s', ' ').replace('p', ' ').split())
        layer = Adder2d(filters.shape[1], filters.shape[0], kernel, stride, padding).double()
        layer.load_state_dict({'adder': filters})
        images = (math.prod(inputs['x'].shape[1:]) ** 0.5 * inputs['x']).requires_grad_()
        output = layer(images)
        output.backward(inputs[f'grad_{tag}'])
        optimizer = torch.optim.SGD([dict(params=[layer.adder], local_rate=0.2)], lr=0.0)
        use_local_rates(optimizer)
        optimizer.step()  # scales the gradient, as the official backward pass does
        outputs |= {f'{tag}.y': output, f'{tag}.grad_x': images.grad}
        outputs[f'{tag}.grad_adder_norm'] = layer.adder.grad.norm().view(1)
        grads[name] = summary(layer.adder.grad)
    outputs = {name: summary(value) for name, value in outputs.items()}
    golden.check({'outputs': outputs, 'grads': grads})


def test_two_training_steps_of_resnet20(goldens_dir):
    init_default_scope('mmssl')
    golden = Golden(goldens_dir, 'addernet_resnet20')
    _unit_normal(golden)
    cfg = load_config(RECIPE)
    model = golden.load(MODELS.build(cfg.model), 'addernet')
    constructor = dict(constructor='GroupedOptimWrapperConstructor', type='OptimWrapper')
    optimizer = build_optim_wrapper(model, {**constructor, **cfg.optim_wrapper}).optimizer
    for group in optimizer.param_groups:
        group['lr'] *= (1 + math.cos(math.pi / cfg.max_epochs)) / 2  # the recipe's in the second epoch
    images, outputs, losses, after = golden.inputs(), {}, {}, {}
    with torch.no_grad():
        outputs['eval_logits_step0'] = model.eval().predict(images['images0'])
    maps = _keep_outputs({name: getattr(model.backbone, name) for name in ('conv1', 'layer1', 'layer2', 'layer3')})
    logits = _keep_outputs({'logits': model.head.logit_norm})
    model.train()
    for step in (0, 1):
        loss = model.loss([images[f'images{step}']], dict(label=torch.tensor(golden.literals[f'labels{step}'])))['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[f'loss_step{step}'] = loss.item()
        outputs[f'logits_step{step}'] = logits['logits']
        if step == 0:
            outputs |= {f'feat.{name}': value for name, value in maps.items()}
            outputs['feat.avgpool'] = maps['layer3'].mean((2, 3), keepdim=True)
            grads = golden.gradients(model, 'addernet')
        after |= {f'step{step + 1}.{name}': value.clone() for name, value in model.state_dict().items()}
    state = {}
    for name, recorded in golden.record['after_step'].items():
        step, official = name.split('.', 1)
        state[name] = summary(after[f'{step}.{rename(official, "addernet")}'].view(recorded['shape']))
    outputs = {name: summary(value) for name, value in outputs.items()}
    golden.check(dict(outputs=outputs, losses=losses, grads=grads, after_step=state))


def _keep_outputs(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """Returns a dict that holds what each module returned last."""
    kept: dict[str, Tensor] = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda module, args, output, name=name: kept.update({name: output.detach()}))
    return kept
