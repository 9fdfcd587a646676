"""HiViT against numbers recorded from its official implementation."""

from __future__ import annotations

import torch

from mmssl.registry import MODELS
from tests.parity.golden import Golden, summary
from tests.support.undrawn import Undrawn


def test_classifier(goldens_dir):
    golden = Golden(goldens_dir, 'hivit_base_classifier')
    images, labels = golden.inputs()['imgs'], torch.tensor(golden.literals['labels'])
    model = golden.load(build_classifier('base', golden), 'hivit')
    stages = model.backbone(images)
    features = stages[-1].mean(dim=1)
    loss = model.head(features, labels)
    loss.backward()
    outputs = dict(zip(('stage1', 'stage2', 'stage3'), stages), logits=model.head.predict(features))
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'hivit'),
        }
    )


def build_classifier(arch: str, golden: Golden):
    """The classifier of the official fine-tuning; its backbone returns the stages, for comparison."""
    num_classes, width = dict(golden.record['state_dict'])['head.weight']
    with Undrawn():
        return MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=dict(type='HiViT', arch=arch, position_bias='table', output='units'),
                neck=dict(type='Identity'),
                head=dict(type='LinearClsHead', in_channels=width, num_classes=num_classes, norm='layer'),
            )
        )
