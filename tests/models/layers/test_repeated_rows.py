from __future__ import annotations

import torch

from mmssl.models.layers.repeated_rows import first_of_equals


def test_rows_with_the_same_index_become_the_first_of_them() -> None:
    rows = torch.arange(10.0).view(5, 2)
    written = first_of_equals(torch.tensor([3, 1, 3, 0, 1]), rows)
    assert torch.equal(written, rows[[0, 1, 0, 3, 1]])
