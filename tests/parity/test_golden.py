"""The comparison itself: it finds what is missing and what is slightly wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.parity.golden import Golden, fill, image, summary

OUTPUT = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(4, 6)


@pytest.fixture
def golden():
    golden = Golden.__new__(Golden)
    golden.record = {
        'outputs': {'z': summary(OUTPUT)},
        'losses': {'total': 2.0},
        'grads': {'weight': summary(OUTPUT), 'frozen': None, 'zero': {'abs_sum': 1e-15, 'probe': [1e-15] * 8}},
    }
    return golden


def results(**changes):
    found = {
        'outputs': {'z': summary(OUTPUT)},
        'losses': {'total': 2.0},
        'grads': {'weight': summary(OUTPUT), 'frozen': None, 'zero': summary(torch.full((8,), -3e-15))},
    }
    return {section: {**values, **changes.get(section, {})} for section, values in found.items()}


def test_equal_results_pass_and_zero_gradients_are_compared_absolutely(golden):
    golden.check(results())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(outputs={'z': summary(OUTPUT * (1 + 1e-7))}), 'outputs: z'),
        (dict(outputs={'z': summary(OUTPUT.flip(0).T)}), 'shape'),
        (dict(outputs={'other': summary(OUTPUT)}), 'other in one of the two only'),
        (dict(losses={'total': 2 + 1e-7}), 'losses: total'),
        (dict(losses={'total': float('nan')}), 'losses: total'),
        (dict(grads={'weight': None}), 'None instead of'),
        (dict(grads={'frozen': summary(OUTPUT)}), 'instead of None'),
        (dict(grads={'zero': summary(torch.full((8,), 1e-9))}), 'grads: zero'),
        (dict(grads={'unrecorded': summary(OUTPUT)}), 'unrecorded in one of the two only'),
    ],
)
def test_a_difference_is_found(golden, changes, message):
    with pytest.raises(AssertionError, match=message):
        golden.check(results(**changes))


def test_a_missing_recording_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='mocov9'):
        Golden(tmp_path, 'mocov9')


def test_tensors_depend_on_name_and_salt_only():
    assert np.array_equal(fill('fc.weight', (3, 4), 'a'), fill('fc.weight', (3, 4), 'a'))
    assert not np.array_equal(fill('fc.weight', (3, 4), 'a'), fill('fc.weight', (3, 4), 'b'))
    assert abs(fill('fc.weight', (50, 400), 'a').std() * 20 - 1) < 0.02
    assert abs(fill('bn.weight', (2000,), 'a').mean() - 1) < 0.01
    assert fill('bn.running_var', (100,), 'a').min() >= 1
    assert image('x', (2, 3, 40, 33), 'a').shape == (2, 3, 40, 33)
