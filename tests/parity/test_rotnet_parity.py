"""RotNet against numbers recorded from its official implementation."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.models.algorithms.rotnet import RotNet
from mmssl.models.layers.rotations import four_rotations
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from tests.parity.golden import CONFIGS, Golden, summary

RECIPES = {
    'rotnet_alexnet': 'rotnet/rotnet_alexnet_1xb192-50e_in1k.py',
    'rotnet_nin': 'rotnet/rotnet_nin_1xb128-200e_cifar10.py',
}


def _outputs_of(model: RotNet) -> dict[str, torch.Tensor]:
    """What the stages, the last pooling, the fully connected layers and the classifier return, as they do so."""
    modules = {f'conv{number}': stage for number, stage in enumerate(model.backbone.stages, 1)}
    if hasattr(model.backbone, 'fc'):
        modules |= dict(pool5=model.backbone.fc.pool, fc_block=model.backbone.fc)
    found: dict[str, torch.Tensor] = {}
    for name, module in (modules | dict(classifier=model.head.fc)).items():
        module.register_forward_hook(lambda module, args, out, name=name: found.update({name: out.detach().clone()}))
    return found


@pytest.mark.parametrize('case', RECIPES)
def test_a_step(goldens_dir, case):
    golden = Golden(goldens_dir, case)
    model = golden.build(RECIPES[case], 'rotnet')
    (images,) = golden.inputs().values()
    rotated, labels = four_rotations(images)
    assert labels.tolist() == golden.literals['labels']
    outputs = _outputs_of(model)
    with torch.no_grad():
        model.eval()
        model.head.predict(model.neck(model.backbone(rotated)))
    eval_logits = outputs['classifier']
    loss = model.train().loss([images])['loss']
    loss.backward()
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in (outputs | dict(eval_logits=eval_logits)).items()},
            'losses': {'loss': loss.item()},
            'grads': golden.gradients(model, 'rotnet'),
        }
    )


def test_a_batch_of_bytes(goldens_dir):
    golden = Golden(goldens_dir, 'rotnet_batch')
    pixels = (128 + 60 * golden.inputs()['pixels']).round().clamp(0, 255).to(torch.uint8)
    cfg = load_config(CONFIGS / RECIPES['rotnet_nin']).model.data_preprocessor
    preprocessor = SelfSupDataPreprocessor(mean=cfg.mean, std=cfg.std)
    batch, labels = four_rotations(preprocessor.prepare(pixels))
    found = {'pixels_uint8_HWC': pixels.permute(0, 2, 3, 1), 'batch': batch}
    found |= {f'image{image}_rot{r}': batch[4 * image + r] for image in (0, 2) for r in range(4)}
    recorded = golden.record['outputs']
    assert found.keys() == recorded.keys()
    for name, value in found.items():
        ours, theirs = summary(value), recorded[name]
        assert ours['shape'] == theirs['shape'], name
        assert_close(ours['probe'], theirs['probe'], rtol=0, atol=1e-6)
        assert_close([ours['sum'], ours['abs_sum']], [theirs['sum'], theirs['abs_sum']], rtol=1e-6, atol=1e-3)
    literals = golden.record['literals_out']
    assert labels.tolist() == literals['labels']
    assert_close(batch[:, 0, 0, 0].tolist(), literals['batch_pixels_corner'], rtol=0, atol=1e-6)
    tiny, _ = four_rotations(torch.tensor(literals['tiny'][:1])[None])
    assert tiny[:, 0].tolist() == literals['tiny']
