"""ODC's memory against numbers recorded from OpenSelfSup's code."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.components.online_clusters import OnlineClusters
from tests.parity.golden import Golden, difference, summary


def test_the_memory_of_odc(goldens_dir):
    golden = Golden(goldens_dir, 'odc_memory')
    literals, inputs, outputs = golden.literals, golden.inputs(), golden.record['outputs']
    expected, index = golden.record['literals_out'], torch.tensor(literals['idx'])
    memory = OnlineClusters(num_clusters=5, dim=8, momentum=0.5, min_cluster=4).double()
    memory.resize(60)
    memory.features.copy_(normalize(inputs['bank'], dim=1))
    memory.labels.copy_(torch.tensor(literals['labels']))
    memory.update_centroids()
    assert difference(summary(memory.centroids), outputs['centroids_initial'], 1e-8) is None

    before = memory.labels[index].clone()
    memory.stage(8**0.5 * inputs['new'], index)
    assert torch.equal(memory.labels[index], before)
    memory.commit()
    change = (memory.labels[index] != before).double().mean().item()
    assert_close(change, golden.record['losses']['change_ratio'])
    assert memory.labels.tolist() == expected['labels_after']
    assert difference(summary(memory.features), outputs['bank_after'], 1e-7) is None
    memory.update_centroids()
    assert difference(summary(memory.centroids), outputs['centroids_after'], 1e-7) is None
    assert difference(summary(memory.weights()), outputs['reweight'], 1e-8) is None

    memory.labels.copy_(torch.tensor(expected['labels_before_small']))
    memory.update_centroids()
    assert memory.empty_small_clusters().tolist() == expected['emptied']
    assert memory.labels.tolist() == expected['labels_after_small']
