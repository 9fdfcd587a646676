"""Bags of visual words against the official code of OBoW, and BoWNet's head as the paper defines it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from mmssl.models.algorithms.obow import OBoW
from mmssl.models.components.word_queue import WordQueue
from mmssl.models.heads.generated_words_head import bag_divergence
from mmssl.models.heads.word_predict_head import WordPredictHead
from mmssl.models.layers.pooling import to_vector
from mmssl.models.layers.visual_words import bag_of_words, pool_codes, soft_codes, without_border, word_distances
from mmssl.models.losses.cross_entropy_loss import smoothed_cross_entropy
from tests.parity.golden import Golden, summary


def test_bownet_head(goldens_dir):
    golden = Golden(goldens_dir, 'bownet_head_restated')
    inputs = golden.inputs()
    maps = (16 * inputs['features']).requires_grad_()
    bags = inputs['targets'].abs()
    bags = torch.where(bags > np.quantile(bags.numpy(), 0.7), bags, 0)
    bags = bags / bags.sum(1, keepdim=True)
    head = WordPredictHead(in_channels=maps.shape[1], num_words=bags.shape[1], gamma=10).double()
    head.weight.data.copy_(golden.state_dict()['weight'])
    loss = head((maps,), bags)
    loss.backward()
    gradients = dict(weight=head.weight.grad, gamma=head.gamma.grad, features=maps.grad)
    golden.check(
        {
            'outputs': {'logits': summary(head.predict((maps,))), 'y': summary(bags)},
            'losses': {'loss': loss.item()},
            'grads': {name: summary(gradient) for name, gradient in gradients.items()},
        }
    )


@pytest.fixture
def bags_case(goldens_dir):
    golden = Golden(goldens_dir, 'obow_bow_targets')
    inputs = golden.inputs()
    channels, *sides = inputs['features'].shape[1:]
    maps = (np.sqrt(channels * sides[0] * sides[1]) * inputs['features']).relu()
    return golden, maps, (np.sqrt(channels) * inputs['vocabulary']).relu(), inputs['logits']


def test_bags_codes_and_losses_of_obow(bags_case):
    golden, maps, words, logits = bags_case
    bags, losses = _bags(golden, maps, words), {}
    outputs = {name: summary(value) for name, value in bags.items()}
    logits = 3 * np.sqrt(len(words)) * logits
    for kind in ('hard_count', 'hard_binary'):
        mine = logits.clone().requires_grad_()
        targets = bags[f'inner.{kind}'].repeat_interleave(2, dim=0)
        losses[f'kl_batchmean_{kind}'] = bag_divergence(mine, targets).item()
        cross_entropy = smoothed_cross_entropy(mine, targets)
        losses[f'soft_ce_{kind}'] = cross_entropy.item()
        cross_entropy.backward()
        outputs[f'grad_logits_{kind}'] = summary(mine.grad)
    state = _train(golden, maps, words, outputs)
    golden.check(dict(outputs=outputs, losses=losses, after_step=state), ['outputs', 'losses', 'after_step'])


def _bags(golden, maps, words):
    bags = {}
    for kind, border in (('inner', 1), ('full', 0)):
        distances = word_distances(without_border(maps, border), words)
        word_map = distances.argmin(1)
        assert word_map.tolist() == golden.record['literals_out'][f'{kind}.word_map']
        codes = soft_codes(distances, 15 / 0.5)
        found = {
            'hard_count': bag_of_words(word_map, len(words), dtype=torch.float64),
            'hard_binary': bag_of_words(word_map, len(words), True, torch.float64),
            'soft15_max': pool_codes(codes, 'max'),
            'soft15_avg': pool_codes(codes, 'avg'),
            'soft15_codes': codes,
        }
        bags |= {f'{kind}.{name}': value for name, value in found.items()}
        for name in ('hard_count', 'hard_binary'):
            np.testing.assert_allclose(found[name], golden.record['literals_out'][f'{kind}.{name}'], atol=1e-11)
    return bags


def _train(golden, maps, words, outputs):
    """A step of the queue at the recorded places; returns its state by official names."""
    queue = WordQueue(*words.shape, inverse_temperature=15).double()
    queue.words.copy_(words)
    queue.draw_places = lambda *args: torch.tensor(golden.literals['locations'])
    outputs['train.soft15_max'] = summary(queue(maps))
    assert torch.equal(queue.words, words)  # until the step has happened
    queue.commit()
    return {
        'train._min_distance_mean': summary(queue.min_distance.reshape(1)),
        'train._embedding': summary(queue.words),
        'train._embedding_ptr': summary(queue.pointer.reshape(1)),
    }


def test_a_step_of_obow(goldens_dir):
    golden = Golden(goldens_dir, 'obow_resnet18')
    levels = [shape for name, shape in golden.record['state_dict'] if name.endswith('_embedding')]
    model = OBoW(
        backbone=dict(type='ResNet', depth=18, out_indices=(2, 3)),
        neck=dict(type='Identity'),
        head=dict(type='GeneratedWordsHead', in_channels=512, word_channels=[width for _, width in levels], kappa=5),
        teacher=dict(momentum=0.99, schedule='constant'),
        vocabularies=[dict(type='WordQueue', num_words=number, channels=width) for number, width in levels],
    ).double()
    model.load_state_dict(_obow_weights(golden), strict=False)
    for vocabulary, places in zip(model.vocabularies, golden.literals['locations']):
        vocabulary.draw_places = lambda n, length, device, places=places: torch.tensor(places) % length
    inputs = golden.inputs()
    crops = {name: [inputs[name][0::2], inputs[name][1::2]] for name in ('crops_a', 'crops_b')}  # image by image
    seen = {'features': [], 'losses': []}
    model.backbone.register_forward_hook(lambda m, args, maps: seen['features'].append(to_vector(maps)))
    model.teacher.register_forward_hook(lambda m, args, maps: seen.update(maps=maps))
    model.head.register_forward_hook(lambda m, args, loss: seen['losses'].append((args, loss)))
    model.teacher.update(0.0, backbone=model.backbone)  # which the official code does before it makes the bags
    loss = model.loss([inputs['img_orig'], *crops['crops_a'], *crops['crops_b']])['loss']
    loss.backward()
    for vocabulary in model.vocabularies:
        vocabulary.commit()

    (_, weights, bags), _ = seen['losses'][0]
    outputs = {f'teacher_block{3 + i}': maps for i, maps in enumerate(seen['maps'])}
    outputs |= {f'target_block{3 + i}': bag[: len(inputs['img_orig'])] for i, bag in enumerate(bags)}
    for name, features in zip('ab', seen['features']):
        features = features.unflatten(0, (2, -1)).transpose(0, 1).flatten(0, 1)
        outputs[f'student_feat_{name}'] = features
        outputs |= {f'logits_{name}_block{3 + i}': x for i, x in enumerate(model.head.predict(features, weights))}
    losses = [value.item() for _, value in seen['losses']]
    state, gradients = model.state_dict(), {name: p.grad for name, p in model.named_parameters()}
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'loss_a': losses[0], 'loss_b': losses[1], 'total': loss.item()},
            'grads': {name: summary(gradients[_our_name(name)]) for name in golden.record['grads']},
            'after_step': {
                name: _official(1 if '_track_' in name else state[_our_name(name)])  # batches seen
                for name in golden.record['after_step']
            },
        }
    )


def _our_name(name):
    """Our name of a tensor of the official model."""
    for theirs, ours in (
        (r'feature_extractor_teacher\.', 'teacher.backbone.'),
        (r'feature_extractor\.', 'backbone.'),
        (r'_feature_blocks\.0\.Conv', 'conv1'),
        (r'_feature_blocks\.0\.bn', 'bn1'),
        (r'_feature_blocks\.(\d)', r'layer\1'),
        (r'bow_predictor\.layers_w\.(\d)\.b\d_fc', r'head.generators.\1.fc1'),
        (r'bow_predictor\.layers_w\.(\d)\.b\d_bn', r'head.generators.\1.bn'),
        (r'bow_predictor\.layers_w\.(\d)\.b\d_last_layer', r'head.generators.\1.fc2'),
        (r'bow_extractor\.bow_extractor\.(\d)\._embedding_ptr', r'vocabularies.\1.pointer'),
        (r'bow_extractor\.bow_extractor\.(\d)\._embedding', r'vocabularies.\1.words'),
        (r'bow_extractor\.bow_extractor\.(\d)\._min_distance_mean', r'vocabularies.\1.min_distance'),
    ):
        name = re.sub(theirs, ours, name)
    return name


def _obow_weights(golden):
    weights = {_our_name(name): tensor for name, tensor in golden.state_dict().items()}
    for name, words in weights.items():
        if name.endswith('.words'):
            weights[name] = (words.shape[1] ** 0.5 * words).relu()
    return weights


def _official(value):
    """The summary of a tensor of ours; the official counters are vectors of one number."""
    value = torch.as_tensor(value)
    return summary(value.reshape(1) if value.ndim == 0 else value)
