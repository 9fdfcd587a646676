"""Shipped recipes in the real runner, step by step against whole trainings recorded from the official codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.parity.golden import Golden
from tests.parity.trajectory import run
from tests.parity.trajectory_cases import CASES


@pytest.mark.parametrize('name', list(CASES))
def test_recipe_trains_as_the_official_code(goldens_dir: Path, tmp_path: Path, name: str) -> None:
    wrong = run(goldens_dir, name, CASES[name], tmp_path).wrong
    assert not wrong, f'{len(wrong)} differences\n' + '\n'.join(wrong[:30])


def test_a_recording_of_other_sizes_fits_its_recipe(goldens_dir: Path, tmp_path: Path) -> None:
    record = json.loads((goldens_dir / 'traj_mae_vitt.json').read_text())
    record['literals'] |= dict(image_size=64, betas=[0.8, 0.9])
    record['literals']['arch'] = record['literals']['arch'].replace('num_heads=3', 'num_heads=6')
    other = {'patch_embed.proj.weight': [192, 3, 8, 8], 'decoder_pred.weight': [192, 512], 'decoder_pred.bias': [192]}
    other |= {'pos_embed': [1, 65, 192], 'decoder_pos_embed': [1, 65, 512]}
    shapes = [(name, other.get(name, shape)) for name, shape in record['state_dict']]
    record['state_dict'] = [(name, shape) for name, shape in shapes if not re.match(r'blocks\.([2-9]|1\d)\.', name)]
    record['derived'] = [[name] for name in record['derived']]
    (tmp_path / 'other.json').write_text(json.dumps(record))
    golden, case = Golden(tmp_path, 'other'), CASES['traj_mae_vitt']
    sizes = case.sizes(golden)
    model = golden.build(case.recipe, case.source, sizes)
    assert (len(model.backbone.blocks), model.backbone.blocks[0].attn.num_heads, model.masker.patch_size) == (2, 6, 8)
    assert sizes['optim_wrapper.optimizer.betas'] == [0.8, 0.9]
