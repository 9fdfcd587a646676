from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.heads.prototype_head import PrototypeHead


def test_scores_of_normalised_prototypes_are_cosines_in_full_precision():
    head = PrototypeHead(8, 5)
    head.normalize_prototypes()
    weight = head.prototypes.weight.detach()
    assert_close(weight.norm(dim=1), torch.ones(5))
    embeddings = torch.nn.functional.normalize(torch.randn(3, 2, 8), dim=-1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        scores = head.scores(embeddings)
    assert scores.dtype == torch.float32
    assert_close(scores.detach(), embeddings @ weight.T)


def test_the_loss_is_given_scores_and_codes():
    head, scores = PrototypeHead(8, 5), torch.zeros(3, 2, 5)
    codes = torch.full((2, 2, 5), 0.2)
    assert_close(head(scores, codes).item(), torch.tensor(5.0).log().item())
