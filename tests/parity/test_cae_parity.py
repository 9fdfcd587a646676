"""CAE against numbers recorded from its official implementation."""

from __future__ import annotations

import random

import pytest
import torch

from mmssl.config.load import load_config
from mmssl.converters.convert import rename
from mmssl.models.maskers.blockwise_masker import blockwise_mask
from mmssl.models.maskers.uniform_masker import UniformMasker
from mmssl.registry import MODELS
from tests.parity.golden import CONFIGS, Golden, Trace, summary
from tests.support.undrawn import Undrawn

RECIPE = 'cae/cae_vit-base_32xb64-300e_in1k.py'
ARCH = dict(embed_dim=384, depth=12, num_heads=12)
BASE = {f'model.{part}.drop_path_rate': 0.0 for part in ('backbone', 'neck', 'head')} | {
    'model.target.tokenizer.checkpoint': None
}
SMALL = {
    'model.backbone.drop_path_rate': 0.0,
    'model.backbone.arch': dict(_delete_=True, **ARCH),
    'model.neck': dict(_delete_=True, type='CAERegressor', in_channels=384, embed_dim=512, depth=2, num_heads=8),
    'model.head': dict(_delete_=True, type='CAEHead', in_channels=512, num_words=1024, depth=1, num_heads=8),
    'model.target.tokenizer': dict(_delete_=True, type='PatchCodebook', num_tokens=1024, patch_size=16),
    'model.momentum': 0.99,
}


def test_masks(goldens_dir):
    *cases, random_case = Golden(goldens_dir, 'cae_masks').record['expected']
    assert cases
    for case in cases:
        rng = random.Random(case['seed'])
        for expected in case['masked_ids']:
            mask = blockwise_mask(rng, (14, 14), case['num_masking_patches'], min_block=16, exact=True)
            assert mask.ravel().nonzero()[0].tolist() == expected
    # Uniform masks come from another generator here, so only their number can be compared.
    assert len(random_case['random']) == UniformMasker(0.5).num_hidden(196)


@pytest.mark.parametrize(('case', 'overrides'), [('cae_base_pretrain', BASE), ('cae_small_pretrain', SMALL)])
def test_a_step(goldens_dir, case, overrides):
    golden = Golden(goldens_dir, case)
    with Undrawn():
        model = MODELS.build(load_config(CONFIGS / RECIPE, overrides).model)
    tokenizer = [name for name in model.state_dict() if name.startswith('target.')]  # not in the official checkpoint
    golden.load(model, 'cae', tokenizer)
    (images,) = golden.inputs().values()
    hidden = torch.tensor(golden.literals['masked_ids'])
    mask = torch.zeros(len(images), 196, dtype=torch.bool).scatter(1, hidden, True)
    words = torch.zeros(mask.shape, dtype=torch.int64)
    words[mask] = torch.tensor(golden.literals['labels'])
    model.masker.forward, model.target.forward = lambda images: mask, lambda images: words
    trace = Trace(
        latent=model.backbone, regressor0=model.neck.blocks[0], latent_pred=model.neck, logits=model.head.predict
    )
    targets = []
    model.head.register_forward_hook(lambda head, args, output: targets.append(args[1]))
    losses = model.loss([images])
    (losses['loss'] + losses['loss_align']).backward()
    model.on_step_start()
    outputs = {name: trace[name][0] for name in ('latent', 'regressor0', 'latent_pred', 'logits')}
    outputs = outputs | dict(logits=outputs['logits'].flatten(0, 1), latent_target=targets[0])
    main, align = losses['loss'].item(), losses['loss_align'].item()
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': dict(main=main, align=align, total=main + align),
            'grads': golden.gradients(model, 'cae'),
            'after_step': golden.state(model, 'cae'),
        }
    )
    assert all(abs(model.get_parameter(rename(name, 'cae')).grad).max() < 1e-10 for name in golden.record['zero_grads'])


def classifier(golden: Golden, head: dict, **backbone: object):
    num_classes, width = dict(golden.record['state_dict'])['head.weight']
    return MODELS.build(
        dict(
            type='ImageClassifier',
            frozen=head['type'] == 'AttentiveClsHead',
            backbone=dict(type='CAEViT', arch=ARCH, **backbone),
            neck=dict(type='Identity'),
            head=dict(in_channels=width, num_classes=num_classes, **head),
        )
    ).double()


def head_names(golden: Golden, beginnings: dict[str, str]) -> dict[str, str]:
    """Official name -> own name of the tensors of the head, by pairs of the beginnings of their names."""
    pairs = ((name, pair) for name, _ in golden.record['state_dict'] for pair in beginnings.items())
    return {
        name: f'head.{ours}{name.removeprefix(theirs)}' for name, (theirs, ours) in pairs if name.startswith(theirs)
    }


@pytest.mark.parametrize('case', ['cae_attentive_probe', 'cae_small_classifier'])
def test_a_classifier(goldens_dir, case):
    golden = Golden(goldens_dir, case)
    if case == 'cae_attentive_probe':
        with Undrawn():
            model = classifier(golden, dict(type='AttentiveClsHead', num_heads=12), output='tokens')
        block = 'attentive_blocks.0.'
        names = {'query_token': 'query_token', f'{block}cross_attn.': 'attn.', 'fc_norm.': 'norm.', 'head.': 'fc.'}
        names |= {f'{block}norm1_{kind}.': f'norm_{kind}.' for kind in 'qkv'}
    else:
        options = dict(output='mean', final_norm=False, relative_table='per-block')
        with Undrawn():
            model = classifier(golden, dict(type='LinearClsHead', norm='layer'), **options)
        names = {'fc_norm.': 'norm.', 'head.': 'fc.'}
    head = head_names(golden, names)
    official = golden.state_dict()
    own = model.state_dict()
    state = {ours: official[name] for name, ours in head.items()}
    state |= {ours: official[name] for name in official if (ours := rename(name, 'cae')) in own}
    state['backbone.pos_embed'] = own['backbone.pos_embed']
    model.load_state_dict(state, strict=True)
    model.train()
    images, labels = golden.inputs()['imgs'], torch.tensor(golden.literals['labels'])
    features = model.neck(model.backbone(images))
    logits = model.head.predict(features)
    loss = model.loss([images], dict(label=labels))['loss']
    loss.backward()
    gradients = dict.fromkeys(golden.record['grads'])
    for name in gradients:
        ours = head.get(name) or rename(name, 'cae')
        if ours is not None:
            gradient = model.get_parameter(ours).grad
            gradients[name] = None if gradient is None else summary(gradient)
    golden.check({'outputs': {'logits': summary(logits)}, 'losses': {'total': loss.item()}, 'grads': gradients})
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(trained) == sum(value is not None for value in gradients.values())
