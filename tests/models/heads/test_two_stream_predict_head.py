from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.heads.two_stream_predict_head import TwoStreamPredictHead
from mmssl.models.losses.care_loss import care
from tests.support.small_parts import mlp


def test_each_stream_has_its_predictor():
    head = TwoStreamPredictHead(mlp(8, 8), dict(type='CARELoss', attention_weight=10.0)).eval()
    assert not torch.equal(head.c_predictor.layers[0].weight, head.t_predictor.layers[0].weight)
    z_c, z_t, f2, f4 = torch.randn(4, 5, 8)
    terms = head((z_c, z_t), (f2, f4))
    expected = care(head.c_predictor(z_c), f2, head.t_predictor(z_t), f4, attention_weight=10.0)
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert_close(terms[name], value)
