"""tools/analysis_tools/analyze_logs.py: times and curves of a log with known values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mmssl.visualization.training_logs import curve, draw_curves, read_log
from tests.support.tools import load_tool

tool = load_tool('analysis_tools/analyze_logs.py')

Fails = Callable[..., str]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two epochs of three iterations, each followed by an evaluation; the last line was cut off by a crash."""
    lines = []
    for epoch, time in ((1, 0.2), (2, 0.4)):
        for i in (1, 2, 3):
            step = 3 * (epoch - 1) + i
            seconds = 5.0 if i == 1 else time
            lines.append(dict(loss=10.0 / step, lr=0.1, time=seconds, epoch=epoch, iter=step, step=step))
        lines.append(dict(knn=50.0 + epoch, step=epoch))
    path = tmp_path / 'run' / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, lines)) + '\n{"loss": 1.')
    return path


def test_times_leave_out_the_first_iteration_of_an_epoch(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool.main(['cal_train_time', str(log)])
    text = capsys.readouterr().out
    assert 'slowest epoch 2, average time is 0.4000' in text and 'fastest epoch 1, average time is 0.2000' in text
    assert 'average iter time: 0.3000' in text and 'std over epochs is 0.1000' in text
    tool.main(['cal_train_time', str(log), '--include-outliers'])
    assert 'average iter time: 1.8667' in capsys.readouterr().out


def test_values_of_training_and_of_evaluation(log: Path) -> None:
    lines = read_log(str(log))
    assert curve(lines, 'loss')[0] == [1, 2, 3, 4, 5, 6]
    assert curve(lines, 'knn') == ([1, 2], [51.0, 52.0])


def test_the_latest_log_is_that_of_the_stage_that_ran_last(log: Path) -> None:
    first, last = (log.parents[2] / stage / time for stage, time in (('words', '20260102_1'), ('bags', '20260102_2')))
    for value, folder in enumerate((first, last)):
        (folder / 'vis_data').mkdir(parents=True)
        (folder / 'vis_data' / 'scalars.json').write_text(json.dumps(dict(loss=value, step=1)))
    assert read_log(str(log.parents[2])) == [dict(loss=1, step=1)]


def test_labellings_are_counted_in_iterations() -> None:
    axes = Figure().subplots()
    draw_curves(axes, {'a': ([dict(nmi=0.5, labelling_seconds=1.0, step=56)], 'nmi')})
    assert axes.get_xlabel() == 'iteration'
    draw_curves(axes, {'a': ([dict(knn=0.5, step=2)], 'knn')})
    assert axes.get_xlabel() == 'epoch'


@pytest.mark.parametrize('facts', [dict(epoch=1), {}])  # MMEngine's logs of iterations name no epoch
def test_evaluations_of_a_run_of_iterations_are_counted_in_iterations(facts: dict) -> None:
    log = [dict(loss=1.0, iter=3, step=3, **facts), dict(knn=0.5, step=4)]
    axes = Figure().subplots()
    draw_curves(axes, {'a': (log, 'knn'), 'b': (log, 'loss')})
    assert axes.get_xlabel() == 'iteration'


def test_epochs_and_iterations_share_no_axis(log: Path, tmp_path: Path, fails: Fails) -> None:
    message = fails(tool.main, 'plot_curve', log, '--keys', 'loss', 'knn', '--legend', 'a', 'b', '--out', 'x.png')
    assert 'got a by iterations, b by epochs: draw two figures' in message


def test_plots_several_logs_and_keys(log: Path, tmp_path: Path) -> None:
    out = tmp_path / 'figures' / 'curves.png'
    run = log.parents[2]
    tool.main(
        ['plot_curve', str(log), str(run), '--keys', 'loss', 'lr', '--legend', 'a', 'b', 'c', 'd', '--out', str(out)]
    )
    assert out.read_bytes().startswith(b'\x89PNG')


def test_mistakes(log: Path, fails: Fails, tmp_path: Path) -> None:
    assert "no log line has 'los'; did you mean 'loss'" in fails(tool.main, 'plot_curve', log, '--keys', 'los')
    assert 'does not exist' in fails(tool.main, 'cal_train_time', tmp_path / 'x.json')
    (tmp_path / 'empty').mkdir()
    assert 'no vis_data/scalars.json' in fails(tool.main, 'cal_train_time', tmp_path / 'empty')
    options = ('--keys', 'loss', 'lr', '--legend', 'one', 'one')
    assert 'a different name for each curve, got one, one' in fails(tool.main, 'plot_curve', log, *options)
    assert '1 names for 1 logs of 2 keys' in fails(
        tool.main, 'plot_curve', log, '--keys', 'loss', 'lr', '--legend', 'one'
    )
