"""Curves beside other toolboxes: runs that are kept, the table, and a toolbox that computes what mmssl does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from mmssl.demo.peers import run as peer
from mmssl.demo.peers.comparison import EXACT, Comparison, PeerRun
from mmssl.demo.peers.peer_algorithm import PeerAlgorithm, copy_linear_layers
from mmssl.demo.peers.table import as_markdown, curves, windows, within_spread
from mmssl.models.necks.dino_projector import DINOProjector
from mmssl.utils.errors import UserError
from tests.support.image_files import write_images
from tests.support.tools import ROOT, load_tool

RECIPE = ROOT / 'configs' / 'demo' / 'simclr_photos.py'


def results(accuracy: float, **others: Any) -> dict[str, Any]:
    """Stands in for the results of a run with a loss of 1 and two evaluations."""
    cost = dict(step_seconds=0.1, memory=3 * 2**20, memory_before=2**20, images=64, threads=1)
    return dict(accuracies=[[0, 50.0], [64, accuracy]], losses=[1.0, 1.0], **cost, **others)


def train(method: str, toolbox: str, seed: int, folder: Path) -> dict[str, Any]:
    """Stands in for a training: it counts its calls, and the toolbox ``broken`` fails."""
    with open(folder / 'count', 'a') as file:
        file.write('x')
    if toolbox == EXACT:
        return dict(differences=dict(other=2e-15), steps=10)
    if toolbox == 'broken':
        raise RuntimeError('a loss is not finite')
    return results(60.0 + seed)


def test_runs_are_kept_and_a_failed_one_loses_nothing(tmp_path: Path) -> None:
    comparison, seen = Comparison(train, dict(epochs=2), tmp_path), []
    toolboxes = ['mmssl', 'broken', 'other', EXACT]
    for _ in range(2):
        runs = comparison.run(['simclr'], toolboxes, [0, 1], lambda so_far: seen.append(len(so_far)))
    assert len(runs) == 7, 'the comparison in float64 takes one seed'
    assert [run.toolbox for run in runs if run.error] == ['broken', 'broken']
    assert 'a loss is not finite' in next(run.error for run in runs if run.error)
    counts = {name: (tmp_path / 'simclr' / name / 'seed0' / 'count').read_text() for name in toolboxes}
    assert counts == {'mmssl': 'x', 'broken': 'xx', 'other': 'x', EXACT: 'x'}
    assert len(comparison.run(['simclr'], ['mmssl'], [2])) == 6, 'finished runs of earlier calls belong to the table'
    with pytest.raises(UserError, match='other options.*choose another --work-dir'):
        Comparison(train, dict(epochs=3), tmp_path).run_one('simclr', 'mmssl', 0)


def test_the_table_tells_the_spread_what_is_missing_and_what_failed() -> None:
    runs = [PeerRun('simclr', 'mmssl', seed, results(60.0 + seed, cpu='Xeon')) for seed in (1, 0)]
    runs += [PeerRun('simclr', 'other', seed, results(58.0 + 4 * seed, cpu='Xeon')) for seed in (0, 1)]
    runs += [PeerRun('simclr', EXACT, 0, dict(differences=dict(other=2e-15))), PeerRun('mae', 'other', 0, None, 'oops')]
    assert curves(runs)['simclr']['mmssl'].accuracies == [[50.0, 60.0], [50.0, 61.0]], 'in the order of the seeds'
    assert curves(runs)['simclr']['mmssl'].loss_images == [16.0, 48.0], 'the middle of each window'
    text = as_markdown(runs, ['absent'], 'python tool')
    assert '| simclr | mmssl | 60.5 (60.0 to 61.0) |  | 1.000 (1.000 to 1.000) |  | 100 (100 to 100) |' in text
    assert '| simclr | other | 60.0 (58.0 to 62.0) | 1 of 1 | 1.000 (1.000 to 1.000) | 2 of 2 |' in text
    assert '| 2 (2 to 2) | 2e-15 | 2 |' in text and '| simclr | absent | not installed |' in text
    assert '- mae, other, seed 0: oops' in text and '- cpu: Xeon\n' in text


def test_a_mean_curve_lies_within_the_spread_where_it_is_between_the_seeds() -> None:
    reference = [[1.0, 5.0, 3.0], [2.0, 4.0, 3.0]]
    assert within_spread([[1.0, 6.0, 3.0], [1.5, 5.0, 3.0]], reference) == '2 of 3'
    assert within_spread([[1.0]], [[1.0]]) == '', 'one seed has no spread'
    assert windows([1.0, 2.0, 3.0, 4.0, 5.0], 2) == [1.5, 4.0] and windows([1.0, 2.0]) == [1.0, 2.0]


class StandIn(PeerAlgorithm):
    """A toolbox that computes what the recipe's algorithm does, with half the loss."""

    unit = 2.0, 0.0

    def __init__(self, recipe: Any, settings: Any) -> None:
        super().__init__(recipe, settings)
        self.recipe, self.factor = recipe, 2.0 if settings.matched else 1.0

    def loss(self, views: list, data_samples: dict | None = None) -> dict:
        """Returns the recipe's loss: in another unit unless the differences are removed."""
        loss = self.factor * self.recipe.loss(views)['loss'] / 2
        return self.terms(loss) | dict(curve=2 / self.factor * loss.detach())


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType('stand_in_methods')
    module.METHODS = dict(simclr=StandIn)
    monkeypatch.setitem(sys.modules, 'stand_in_methods', module)
    monkeypatch.setattr(peer, 'TOOLBOXES', dict(standin=('torch', 'stand_in_methods'), absent=('no_such_package', '')))


def test_a_toolbox_trains_instead_of_the_algorithm(
    stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, 'EVALUATIONS', 1)
    for name in ('cat', 'dog'):
        write_images(tmp_path / 'data', [f'{name}/{number}.png' for number in range(18)])
    cfg = peer.read_recipe(RECIPE, 'simclr', 2, seed=0, data=str(tmp_path / 'data'))
    cfg.work_dir = str(tmp_path)
    own, other = (peer.train(peer.build(cfg, 'simclr', toolbox)) for toolbox in ('mmssl', 'standin'))
    assert own['losses'][0] == pytest.approx(other['losses'][0], rel=1e-6), 'the same images, weights and unit'
    assert own['losses'][-1] != pytest.approx(other['losses'][-1], rel=1e-6), 'half the gradient'
    assert [images for images, _ in own['accuracies']] == [0, own['images']]
    assert own['step_seconds'] > 0 and own['memory'] >= own['memory_before'] > 0
    exact = peer.differences_in_float64(cfg, 'simclr', ['standin'], steps=2)
    assert exact['differences']['standin'] < 1e-14
    with pytest.raises(UserError, match='no_such_package is not installed'):
        peer.methods_of('absent')


def test_linear_layers_are_copied_in_order_with_a_weight_norm() -> None:
    source = DINOProjector(4, 5, 7, bottleneck_channels=3)
    target = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3, bias=False))
    with pytest.warns(FutureWarning):
        target.append(nn.utils.weight_norm(nn.Linear(3, 7, bias=False)))
    copy_linear_layers(source, target)
    assert torch.equal(target[0].bias, source.layers[0].bias)
    torch.testing.assert_close(torch._weight_norm(target[3].weight_v, target[3].weight_g), source.last_layer.weight)
    with pytest.raises(ValueError, match='shorter|differ'):
        copy_linear_layers(source, target[:3])


def test_the_tool_names_missing_toolboxes_and_checks_its_arguments(
    stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    tool = load_tool('benchmarks/peers.py')
    monkeypatch.setattr(peer, 'build', lambda cfg, method, toolbox: 61.0 if toolbox == 'mmssl' else 1 / 0)
    monkeypatch.setattr(peer, 'train', results)
    arguments = ['--methods', 'simclr', '--seeds', '0', '--work-dir', str(tmp_path), '--toolboxes', 'mmssl', 'standin']
    with pytest.raises(SystemExit, match='1'):
        tool.main([*arguments, 'absent'])
    text = (tmp_path / 'peers.md').read_text()
    assert '| simclr | mmssl | 61.0 |' in text and 'simclr | absent | not installed' in text
    assert 'ZeroDivisionError' in text and (tmp_path / 'peers.png').stat().st_size > 5000
    assert json.loads((tmp_path / 'peers.json').read_text())['missing'] == ['absent']
    for wrong, said in (
        (['--methods', 'simcler'], "did you mean 'simclr'"),
        (['--epochs', '1'], '--epochs must be at least 2'),
        (['--photos', '1'], '--photos must be 2 to 18'),
    ):
        with pytest.raises(SystemExit):
            tool.main(wrong)
        assert said in capsys.readouterr().err
