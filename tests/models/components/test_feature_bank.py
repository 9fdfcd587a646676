from __future__ import annotations

import torch

from mmssl.models.components.feature_bank import FeatureBank


def test_rows_are_written_after_the_step_and_a_repeated_image_keeps_its_first():
    bank = FeatureBank(2)
    bank.resize(4)
    bank.stage(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([3, 1, 3]))
    assert not bank.filled.any()
    bank.commit()
    assert bank.features.tolist() == [[0, 0], [3, 4], [0, 0], [1, 2]]
    assert bank.filled.tolist() == [False, True, False, True]
    bank.clear()
    bank.commit()  # nothing is staged any more
    assert not bank.filled.any()


def test_a_bank_without_a_size_stays_empty():
    bank = FeatureBank(2)
    bank.stage(torch.ones(1, 2), torch.zeros(1, dtype=torch.int64))
    bank.commit()
    assert bank.features.shape == (0, 2)
