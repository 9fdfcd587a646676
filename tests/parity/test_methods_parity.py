"""Shipped ImageNet recipes against numbers recorded from the official implementations."""

from __future__ import annotations

import pytest

from tests.parity.cases import run_moco, run_moco_rank, run_simsiam
from tests.parity.golden import Golden
from tests.support.distributed import run_distributed

MOCOV2 = 'moco/mocov2_resnet50_8xb32-200e_in1k.py'
SIMSIAM = 'simsiam/simsiam_resnet50_8xb64-100e_in1k.py'


@pytest.mark.parametrize(
    ('case', 'recipe'), [('mocov1_r50', 'moco/mocov1_resnet50_8xb32-200e_in1k.py'), ('mocov2_r50', MOCOV2)]
)
def test_moco(goldens_dir, case, recipe):
    golden = Golden(goldens_dir, case)
    golden.check(run_moco(golden, recipe))


def test_moco_shuffles_keys_between_processes(goldens_dir):
    case = 'mocov2_r18_shufflebn_2ranks'
    golden = Golden(goldens_dir, case)
    resnet18 = {'model.backbone.depth': 18, 'model.neck.in_channels': 512, 'model.neck.hidden_channels': 512}
    ranks = run_distributed(run_moco_rank, golden.literals['world_size'], goldens_dir.resolve(), case, MOCOV2, resnet18)
    for results in ranks:
        golden.check({'grads': results['grads']}, ['grads'])
    merged = {s: {n: v for results in ranks for n, v in results[s].items()} for s in ranks[0]}
    merged['losses']['total'] = sum(merged['losses'].values()) / len(ranks)
    golden.check(merged)


@pytest.mark.parametrize('case', ['simsiam_r50', 'simsiam_r50_eval'])
def test_simsiam(goldens_dir, case):
    golden = Golden(goldens_dir, case)
    golden.check(run_simsiam(golden, SIMSIAM))
