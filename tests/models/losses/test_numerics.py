from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.losses.cosine_regression_loss import cosine_regression
from mmssl.models.losses.info_nce_loss import info_nce
from mmssl.models.losses.negative_cosine_loss import negative_cosine
from mmssl.models.losses.nt_xent_loss import nt_xent
from mmssl.models.losses.numerics import l2_normalize
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from mmssl.registry import LOSSES as REGISTRY
from tests.support.spec_tensors import A, B

LOSSES = {
    'nt_xent': lambda x, y: nt_xent(x, y, 0.1),
    'info_nce': lambda x, y: info_nce(x, y, temperature=0.2),
    'queue_contrast': lambda x, y: queue_contrast(x, y, normalize(torch.eye(8), dim=1), 0.07),
    'cosine_regression': cosine_regression,
    'negative_cosine': negative_cosine,
}


@pytest.mark.parametrize('loss', LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_losses_of_half_precision_are_computed_in_float32(loss, dtype):
    x, y = A.to(dtype), B.to(dtype)
    expected = loss(x.float(), y.float())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        result = loss(x.requires_grad_(), y)
    assert result.dtype == torch.float32
    assert_close(result, expected, rtol=1e-6, atol=1e-6)
    result.backward()
    assert torch.isfinite(x.grad).all() and x.grad.dtype == dtype


@pytest.mark.parametrize('loss', LOSSES.values(), ids=LOSSES)
def test_losses_do_not_depend_on_lengths(loss):
    x, y = A.float(), B.float()
    assert_close(loss(3 * x, 0.2 * y), loss(x, y))


def test_a_row_of_zeros_stays_zero_and_passes_no_nan():
    x = torch.zeros(2, 3, requires_grad=True)
    y = l2_normalize(x)
    y.sum().backward()
    assert torch.equal(y, torch.zeros(2, 3)) and torch.isfinite(x.grad).all()


def test_the_bound_is_on_the_squared_length():
    x = torch.tensor([[1e-7, 0.0]], dtype=torch.float64)
    assert_close(l2_normalize(x), torch.tensor([[0.1, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize(
    'name',
    """QueueContrastLoss NTXentLoss InfoNCELoss NeighbourContrastLoss MemoryContrastLoss RegionContrastLoss
    ViewCrossEntropyLoss PatchCrossEntropyLoss InterImageLoss OnlineClusterHead""".split(),
)
@pytest.mark.parametrize('temperature', [0.0, -0.1])
def test_a_temperature_that_is_not_positive_is_refused(name: str, temperature: float):
    arguments = dict(InterImageLoss=dict(num_clusters=2), OnlineClusterHead=dict(in_channels=4, num_clusters=2))
    with pytest.raises(ValueError, match=f'temperature must be positive, got {temperature}'):
        REGISTRY.build(dict(type=name, temperature=temperature, **arguments.get(name, {})))
