"""DeepCluster's recipes, networks and optimizer against the official code."""

from __future__ import annotations

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmssl.config.load import load_config
from tests.parity.golden import CONFIGS, Golden, summary


@pytest.mark.parametrize(
    ('case', 'source', 'recipe'),
    [
        ('deepcluster_alexnet', 'deepcluster', 'deepcluster_alexnet-sobel_1xb256-200e_in1k'),
        ('deepcluster_vgg16', 'deepcluster_vgg16', 'deepcluster_vgg16-sobel_1xb256-200e_in1k'),
    ],
)
def test_features_and_one_step_with_both_optimizers(goldens_dir, case, source, recipe):
    golden, recipe = Golden(goldens_dir, case), f'deepcluster/{recipe}.py'
    (num_clusters,) = [shape[0] for name, shape in golden.record['state_dict'] if name == 'top_layer.bias']
    changes = {'model.head.num_clusters': num_clusters, 'model.backbone.fc.dropout': (0.0, 0.0)}
    model = golden.build(recipe, source, changes)
    for index, layer in enumerate(model.backbone.stem):  # ours are these numbers in float32
        for name, parameter in layer.named_parameters():
            recorded = torch.tensor(golden.literals[f'sobel.{index}.{name}'], dtype=torch.float64).view_as(parameter)
            torch.testing.assert_close(parameter.data, recorded, rtol=1e-7, atol=0)
            parameter.data.copy_(recorded)
    images = golden.inputs()['images']
    labels = torch.tensor(golden.literals['labels'])

    model.eval()
    maps: list[torch.Tensor] = []
    model.backbone.fc.pool.register_forward_hook(lambda module, args, output: maps.append(output.detach()))
    with torch.no_grad():
        features = model.label_features(images)
        outputs = {
            'sobel_out': model.backbone.stem(images),
            'eval_conv_features': maps[0],
            'eval_fc7_pre_relu': features,
            'eval_logits': model.head.predict(features)[:, 0],
        }
    assert (features < 0).any()

    model.train()
    logits: list[torch.Tensor] = []
    model.head.fc.register_forward_hook(lambda module, args, output: logits.append(output.detach()))
    loss = model.loss([images], dict(pseudo_label=labels[:, None]))['loss']
    outputs['train_logits'] = logits[0]
    with DefaultScope.overwrite_default_scope('mmssl'):
        wrapper = dict(load_config(CONFIGS / recipe).optim_wrapper, constructor='GroupedOptimWrapperConstructor')
        optimizer = build_optim_wrapper(model, dict(wrapper, type='OptimWrapper')).optimizer
    loss.backward()
    grads = golden.gradients(model, source)
    optimizer.step()
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'loss': loss.item()},
            'grads': grads,
            'after_step': golden.state(model, source),
        }
    )
