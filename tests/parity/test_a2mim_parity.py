"""A2MIM against numbers recorded from its official implementation."""

from __future__ import annotations

import torch

from mmssl.models.algorithms.a2mim import fill_with_mean
from mmssl.models.layers.patches import unpatchify
from mmssl.models.losses.a2mim_loss import A2MIMLoss, focal_frequency
from mmssl.models.maskers.simmim_masker import unit_mask
from tests.parity.golden import Golden, summary


def recorded_mask(golden):
    """The recorded mask (N, L), from its blocks."""
    side = golden.literals['block_grid']
    patches = golden.literals.get('expand', golden.literals.get('cells_per_block'))
    masks = []
    for blocks in golden.literals['masked_blocks']:
        others = sorted(set(range(side**2)) - set(blocks))
        masks.append(unit_mask(torch.tensor([blocks + others]), len(blocks), (side, side), patches))
    return torch.cat(masks)


def test_losses_and_their_gradients(goldens_dir):
    golden = Golden(goldens_dir, 'a2mim_losses')
    golden.record['grads'] = golden.record.pop('outputs')  # gradients, and compared as such
    images, predictions = golden.inputs().values()
    heads = dict(
        cnn=A2MIMLoss(),
        vit=A2MIMLoss(focal=False, frequency_weight=0.1, visible_weight=0.0),
        cnn_spatial_only=A2MIMLoss(frequency_weight=0.0),
    )
    hidden = unpatchify(recorded_mask(golden).unsqueeze(-1).expand(-1, -1, 14**2), 14, (4, 4))
    values, gradients = {}, {}
    for name in (*heads, 'focal_frequency'):
        x = predictions.clone().requires_grad_()
        loss = heads[name](x, images, hidden) if name in heads else focal_frequency(x - images)
        loss.backward()
        values[name], gradients[f'{name}_grad'] = loss.item(), summary(x.grad)
    golden.check({'losses': values | {'total': values['cnn']}, 'grads': gradients})


def test_a_step_of_a_residual_network(goldens_dir):
    golden = Golden(goldens_dir, 'a2mim_r50')
    (images,) = golden.inputs().values()
    model = golden.build('a2mim/a2mim_resnet50_8xb256-300e_in1k.py', 'a2mim')
    mask = recorded_mask(golden)
    model.masker.forward = lambda images: mask
    maps = {}
    # These hooks come before that of the mask token, so the one of layer3 sees its output without the token.
    model.backbone.layer3.register_forward_hook(lambda module, args, x: maps.update(layer3=x))
    model.backbone.layer4.register_forward_hook(lambda module, args, x: maps.update(layer4_in=args[0], layer4=x))
    model.neck.register_forward_hook(lambda module, args, x: maps.update(x_rec=x))
    loss = model.loss([images])['loss']
    loss.backward()
    maps['masked_input'] = fill_with_mean(images, mask, 16)
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in maps.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'a2mim'),
            'after_step': golden.state(model, 'a2mim'),
        }
    )
