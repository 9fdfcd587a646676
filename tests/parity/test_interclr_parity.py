"""InterCLR's two contrasts against numbers recorded from mmselfsup's functions."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from mmssl.models.components.cluster_pairs import ClusterPairs
from mmssl.models.components.online_clusters import OnlineClusters
from mmssl.models.losses.inter_image_loss import InterImageLoss
from tests.parity.golden import Golden, difference, summary


def test_both_contrasts_and_their_gradient(goldens_dir, monkeypatch):
    golden = Golden(goldens_dir, 'interclr_contrast')
    inputs, literals, outputs = golden.inputs(), golden.literals, golden.record['outputs']
    memory = OnlineClusters(num_clusters=10, dim=16).double()
    memory.resize(40)
    memory.features.copy_(normalize(inputs['feature_bank'], dim=1))
    memory.labels.copy_(torch.arange(40) % 10)
    place = (literals['positive_member'] + 0.5) / 4  # of the four images of a cluster
    monkeypatch.setattr(
        'mmssl.models.components.cluster_pairs.indexed_uniform', lambda *args: torch.full((4, 1), place)
    )

    q = (4 * inputs['q']).requires_grad_()
    queue = normalize(inputs['queue'], dim=0).T
    pairs = ClusterPairs(literals['neg_num'], num_candidates=literals['neg_num'])  # the hardest ones
    similarities = pairs(q, memory, torch.tensor(literals['idx']), torch.tensor(0))
    positives = similarities[:, :1] - literals['margin']
    assert difference(summary(positives), outputs['inter_pos_with_margin'], 1e-8) is None
    assert difference(summary(similarities[:, 1:]), outputs['inter_neg'], 1e-8) is None
    unit = normalize(q, dim=1)
    own = (unit * normalize(inputs['k'], dim=1)).sum(1, keepdim=True)
    assert difference(summary(own), outputs['intra_pos'], 1e-8) is None
    assert difference(summary(unit @ queue.T), outputs['intra_neg'], 1e-8) is None

    head = InterImageLoss(num_clusters=10, temperature=literals['T'], margin=literals['margin'], share=0.25)
    losses = head(q, inputs['k'], queue, similarities)
    sum(losses.values()).backward()
    golden.check(
        dict(
            losses=dict(
                total=sum(losses.values()).item(),
                intra=losses['loss_intra'].item() / 0.75,
                inter=losses['loss_inter'].item() / 0.25,
            ),
            grads=dict(q=summary(q.grad)),
        ),
        sections=['losses', 'grads'],
    )
