"""The weighted nearest-neighbour vote against DINO's."""

from __future__ import annotations

import re

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.evaluation.extract import Features
from mmssl.evaluation.weighted_knn import WeightedKNN, class_similarities, nearest_neighbours
from tests.parity.golden import Golden, summary

TEMPERATURE = 0.07


def test_votes_and_accuracies(goldens_dir):
    golden = Golden(goldens_dir, 'knn_weighted_vote')
    inputs = golden.inputs()
    centres = inputs['centres']
    num_classes = len(centres)
    bank_labels = 7 * torch.arange(len(inputs['train_features'])) % num_classes
    labels = 3 * torch.arange(len(inputs['test_features'])) % num_classes
    bank = normalize(centres[bank_labels] + 1.3 * inputs['train_features'])
    queries = normalize(centres[labels] + 1.3 * inputs['test_features'])

    outputs, losses = {'similarity': summary(queries @ bank.T)}, {}
    for k in sorted(int(k) for name in golden.record['outputs'] for k in re.findall(r'votes_k(\d+)', name)):
        similarities, rows = nearest_neighbours(queries, bank, k)
        scores = class_similarities(
            similarities, bank_labels[rows], temperature=TEMPERATURE, num_classes=num_classes
        )  # (N, C)
        votes = (scores / TEMPERATURE).exp()
        outputs[f'votes_k{k}'] = summary(votes)
        assert votes.argmax(dim=1).tolist() == golden.record['literals_out'][f'predicted_k{k}']
        metrics = WeightedKNN(k, TEMPERATURE)(_features(bank, bank_labels), _features(queries, labels))
        losses |= {f'top1_k{k}': metrics['knn_top1'], f'top5_k{k}': metrics['knn_top5']}
    golden.check({'outputs': outputs, 'losses': losses}, ['outputs', 'losses'])


def _features(vectors: Tensor, labels: Tensor) -> Features:
    return Features(vectors, labels, torch.arange(len(vectors)))
