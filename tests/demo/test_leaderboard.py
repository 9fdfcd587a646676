"""The leaderboard: one process per run, nothing run twice, nothing lost to a failed run, mean and range over seeds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmssl.demo.leaderboard import Leaderboard, as_markdown, entries, gains
from mmssl.demo.run import Length
from mmssl.utils.errors import UserError
from tests.support.image_files import write_images
from tests.support.tools import load_tool

# Stands in for tools/demo.py: the accuracy depends on method and seed, and one method fails.
DEMO = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
for name in ('method', 'seed', 'minutes', 'work-dir'):
    parser.add_argument('--' + name)
args = parser.parse_args()
args.method = pathlib.Path(args.method).stem
folder = pathlib.Path(args.work_dir)
(folder / 'count').write_text((folder / 'count').read_text() + 'x' if (folder / 'count').exists() else 'x')
assert args.method != 'broken', 'a loss is not finite'
top1 = dict(good=80.0, better=90.0)[args.method] + int(args.seed)
scores = {'raw pixels': dict(linear_top1=47.5), 'random initialisation': dict(linear_top1=70.0 + int(args.seed))}
scores['pre-trained'] = dict(linear_top1=top1, knn_top1=top1 - 5)
conditions = dict(images=1000, minutes=2.0, processor_minutes=3.0, device='CPU, 1 threads')
conditions.update(knows_labels=args.method == 'better')
(folder / 'result.json').write_text(json.dumps(dict(scores=scores, **conditions)))
"""


@pytest.fixture(scope='module')
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    folder = tmp_path_factory.mktemp('board')
    (folder / 'demo.py').write_text(DEMO)
    return Leaderboard(['good', 'broken', 'better'], ['--minutes', '2'], folder, folder / 'demo.py')


def test_runs_are_ranked_and_a_failed_one_loses_nothing(board: Leaderboard) -> None:
    seen: list[int] = []
    runs = board.run([0, 1], lambda so_far: seen.append(len(so_far)))
    assert seen == [1, 2, 3, 4, 5, 6]
    rows = entries(runs)
    assert [row.name for row in rows] == ['raw pixels', 'random initialisation', 'better', 'good', 'broken']
    assert rows[0].scores == dict(linear_top1=[47.5, 47.5]) and rows[1].scores == dict(linear_top1=[70.0, 71.0])
    assert rows[2].scores == dict(linear_top1=[90.0, 91.0], knn_top1=[85.0, 86.0])
    assert (rows[2].images, rows[2].minutes, rows[4].failed) == (1000, 2.0, 2)
    text = as_markdown(runs, 'python tool')
    assert '| better (knows the labels) | 85.5 (85.0 to 86.0) | 90.5 (90.0 to 91.0) |  | 1,000 | 2.0 | 3.0 |' in text
    assert '| broken |  |  |  | 0 | 0.0 |  | 0, 2 failed |' in text and 'a loss is not finite' in text
    assert '- device: CPU, 1 threads' in text
    assert gains(runs) == [(rows[2], [70.0, 71.0], [90.0, 91.0]), (rows[3], [70.0, 71.0], [80.0, 81.0])]


def test_a_finished_run_is_not_made_again_and_a_failed_one_is(board: Leaderboard) -> None:
    board.run([0])
    board.run([0])
    counts = {method: (board.work_dir / method / 'seed0' / 'count').read_text() for method in board.methods}
    assert counts['good'] == counts['better'] == 'x' and len(counts['broken']) >= 2


def test_a_table_keeps_methods_and_seeds_of_earlier_calls_with_the_same_options(board: Leaderboard) -> None:
    board.run([0, 1])
    alone = Leaderboard(['good'], board.options, board.work_dir, board.demo)
    assert [(run.method, run.seed) for run in alone.run([2])] == [
        ('better', 0), ('good', 0), ('better', 1), ('good', 1), ('good', 2)
    ]  # fmt: skip
    shutil.rmtree(board.work_dir / 'good' / 'seed2')
    assert Leaderboard([], ['--minutes', '3'], board.work_dir, board.demo).run([0]) == []


def test_results_of_another_commit_are_named(board: Leaderboard, capsys: pytest.CaptureFixture[str]) -> None:
    runs = board.run([0])
    assert 'earlier result' not in capsys.readouterr().out, 'these results know no commit'
    assert runs[0].results is not None
    path = board.work_dir / 'good' / 'seed0' / 'run.json'
    stored = path.read_text()
    path.write_text(json.dumps(vars(runs[0]) | dict(results=runs[0].results | dict(commit='0ld'))))
    table = as_markdown(board.run([0]), 'python tool')
    path.write_text(stored)
    shown = capsys.readouterr().out
    assert 'good, seed 0: linear_top1 80.0' in shown and 'of commit 0ld: delete its folder' in shown
    assert '- commit: 0ld\n' in table


def test_another_budget_needs_another_folder(board: Leaderboard) -> None:
    board.run_one('good', 0)
    other = Leaderboard(['good'], ['--minutes', '3'], board.work_dir, board.demo)
    with pytest.raises(UserError, match='other options.*choose another --work-dir'):
        other.run_one('good', 0)


def test_the_tool_writes_table_and_figure_and_knows_the_methods(board: Leaderboard, tmp_path: Path, capsys) -> None:
    tool = load_tool('benchmarks/leaderboard.py')
    tool.write(board.run([0]), tmp_path, 'python tool')
    content = json.loads((tmp_path / 'leaderboard.json').read_text())
    assert [row['name'] for row in content['entries']][2:] == ['better', 'good', 'broken']
    assert (tmp_path / 'leaderboard.png').stat().st_size > 5000 and (tmp_path / 'leaderboard.md').is_file()
    with pytest.raises(SystemExit):
        tool.main(['--methods', 'simcler'])
    assert "did you mean 'simclr'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(['--epochs', '0'])
    assert '--epochs must be above 0, got 0' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(['--minutes', 'inf'])
    assert '--minutes must be finite, got inf' in capsys.readouterr().err
    write_images(tmp_path / 'one', [f'cat/{i}.png' for i in range(3)])
    write_images(tmp_path / 'beside', ['cat/0.png', 'dog/0.png', '0.png'])
    for name, found in (
        ('one', '1 class folders with images, and 0'),
        ('beside', '2 class folders with images, and 1'),
    ):
        with pytest.raises(SystemExit):
            tool.main(['--data', str(tmp_path / name)])
        assert found in capsys.readouterr().err


def test_recipes_take_part_by_name_and_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool, boards = load_tool('benchmarks/leaderboard.py'), []
    monkeypatch.setattr(Leaderboard, 'run', lambda self, seeds, after_each: boards.append(self) or after_each([]) or [])
    recipe, mine = 'simclr_resnet18-half_1xb512-12e_cifar10', tmp_path / 'mine.py'
    mine.touch()
    given = ['simclr', recipe, str(mine)]
    with pytest.raises(SystemExit) as exit_:
        tool.main(['--methods', *given, recipe, '--epochs', '12', '--work-dir', str(tmp_path)])
    assert exit_.value.code == 0
    assert boards[0].methods == dict(zip(['simclr', recipe, 'mine'], given))
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'mine.py').touch()
    with pytest.raises(SystemExit):
        tool.main(['--methods', str(mine), str(tmp_path / 'other' / 'mine.py')])
    assert 'have the same name in the table: rename one' in capsys.readouterr().err


def test_the_command_of_a_file_and_its_row(tmp_path: Path) -> None:
    file = tmp_path / 'good.py'
    (tmp_path / 'demo.py').write_text(DEMO)
    board = Leaderboard([str(file)], ['--minutes', '2'], tmp_path / 'board', tmp_path / 'demo.py')
    assert [run.method for run in board.run([0])] == ['good']
    command = json.loads((tmp_path / 'board' / 'good' / 'seed0' / 'command.json').read_text())
    assert command == ['--method', str(file), '--seed', '0', '--minutes', '2']
    other = Leaderboard(['better'], ['--minutes', '2'], tmp_path / 'board', tmp_path / 'demo.py')
    assert {run.method for run in other.run([0])} == {'better', 'good'}


@pytest.mark.parametrize(
    ('length', 'epochs'),
    [(Length(), 10), (Length(minutes=5), 10), (Length(minutes=1), 2), (Length(minutes=20), 40), (Length(epochs=3), 3)],
)
def test_a_budget_in_minutes_sets_the_epochs(length: Length, epochs: int) -> None:
    assert length.choose(10, minutes_per_epoch=0.5, share=1.0) == epochs


def test_only_a_recipe_that_is_much_longer_than_five_minutes_is_cut() -> None:
    assert Length().choose(14, 0.5, 1.0) == 14
    assert Length().choose(20, 0.5, 1.0) == 10
    assert Length().choose(20, 0.5, 0.5) == 5
    assert Length(full=True).choose(20, 0.5, 0.5) == 20
