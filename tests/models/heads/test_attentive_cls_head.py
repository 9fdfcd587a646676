from __future__ import annotations

import pytest
import torch

from mmssl.config.load import load_config
from mmssl.models.heads.attentive_cls_head import AttentiveClsHead
from mmssl.registry import HEADS
from tests.support.tools import ROOT


def test_tokens_give_one_row_of_logits_per_image():
    head = AttentiveClsHead(24, 5, num_heads=2)
    tokens = torch.randn(3, 4, 24)
    assert head.predict(tokens).shape == (3, 5)
    torch.testing.assert_close(head.predict(tokens.flip(1)), head.predict(tokens))  # the order does not matter


def test_the_norm_is_part_of_the_probe():
    with pytest.raises(TypeError, match='norm'):
        AttentiveClsHead(24, 5, num_heads=2, norm='layer')
    (recipe,) = ROOT.glob('configs/benchmarks/classification/*_cae-attentive.py')
    assert HEADS.build(load_config(recipe).model.head).norm.eps == 1e-5
