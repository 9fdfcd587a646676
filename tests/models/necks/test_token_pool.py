from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.necks.token_pool import TokenPool


def test_class_token_and_mean_of_the_others():
    tokens = torch.randn(2, 5, 3)
    assert_close(TokenPool()(tokens), torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1))
    assert_close(TokenPool(('mean',))(tokens), tokens[:, 1:].mean(1))
    assert_close(TokenPool(('mean',), num_prefix_tokens=3)(tokens), tokens[:, 3:].mean(1))
    assert_close(TokenPool(('mean', 'cls'))(tokens)[:, 3:], tokens[:, 0])


def test_arguments():
    for parts in ((), ('cls', 'max')):
        with pytest.raises(ValueError, match='parts must be some of'):
            TokenPool(parts)
    with pytest.raises(ValueError, match='num_prefix_tokens=0 leaves no class token'):
        TokenPool(num_prefix_tokens=0)
