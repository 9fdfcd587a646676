"""What the norm of the weights and gamma do to the logits."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.heads.word_predict_head import WordPredictHead


def test_lengths_of_weights_do_not_count_and_gamma_scales():
    head, features = WordPredictHead(in_channels=6, num_words=5).double(), torch.randn(4, 6).double()
    logits = head.predict(features)
    assert_close(logits, 10 * features @ normalize(head.weight).T)
    logits.square().sum().backward()
    assert_close((head.weight.grad * head.weight).sum(1), torch.zeros(5).double(), atol=1e-9, rtol=0)
    with torch.no_grad():
        head.weight[2] *= 10
        assert_close(head.predict(features), logits)
        head.gamma *= 2
        assert_close(head.predict(features), 2 * logits)


def test_loss_of_a_bag():
    head = WordPredictHead(in_channels=3, num_words=3)
    bag, logits = torch.tensor([[0.25, 0.5, 0.25]]), torch.tensor([[2.0, 1.0, 0.0]])
    assert_close(head.loss(logits, bag), torch.tensor(1.407606))
