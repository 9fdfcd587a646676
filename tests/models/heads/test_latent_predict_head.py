from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.heads.latent_predict_head import LatentPredictHead
from mmssl.models.losses.negative_cosine_loss import negative_cosine


def _head() -> LatentPredictHead:
    return LatentPredictHead(
        predictor=dict(type='MLPProjector', in_channels=4, hidden_channels=8, out_channels=4),
        loss=dict(type='NegativeCosineLoss'),
    )


def test_it_is_the_loss_of_the_prediction():
    head, z, target = _head(), torch.randn(6, 4), torch.randn(6, 4)
    assert_close(head(z, target), negative_cosine(head.predictor(z), target))
    assert all(name.startswith('predictor.layers.') for name in head.state_dict())


def test_init_weights_reaches_the_predictor():
    head = LatentPredictHead(
        predictor=dict(
            type='MLPProjector',
            in_channels=4,
            hidden_channels=8,
            out_channels=4,
            init_cfg=dict(type='Constant', layer='Linear', val=0.5),
        ),
        loss=dict(type='NegativeCosineLoss'),
    )
    head.init_weights()
    assert (head.predictor.layers[0].weight == 0.5).all()
