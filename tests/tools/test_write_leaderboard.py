"""Results of a leaderboard stand between the marks of cards and of the documentation; everything else stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs import assemble
from tests.support.tools import load_tool

CARD = """# One

Words before.
<!-- demo one -->
not measured
<!-- end of demo -->
<!-- demo other -->
kept
<!-- end of demo -->
"""
MARKS = '<!-- leaderboard -->\nold\n<!-- end of leaderboard -->\nend\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ('configs/one', 'docs/methods', 'docs/images', 'board'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'configs/one/README.md').write_text(CARD)
    for name, options in {'leaderboard': '--full', 'cifar10': '--methods a.py --minutes 10 --data cifar10'}.items():
        page = f'# Table\n\n    python tools/benchmarks/leaderboard.py {options}\n\n{MARKS}'
        (tmp_path / f'docs/methods/{name}.md').write_text(page)
    return tmp_path


def board(root: Path, top1: dict[int, float], command: str = 'python board --full --seeds 0') -> str:
    """Writes the results of method "one", seed -> linear accuracy, and a failed run, and returns their folder."""
    shared = dict(images=14400, minutes=9.0, processor_minutes=4.0, cpu='Xeon', threads=1, torch='2.15', commit='abc')
    runs = []
    for seed, value in top1.items():
        scores = {'raw pixels': dict(linear_top1=47.5), 'pre-trained': dict(linear_top1=value, knn_top1=70.0)}
        runs.append(dict(method='one', seed=seed, results=dict(shared, scores=scores), seconds=1.0, error=''))
    runs.append(dict(method='other', seed=0, results=None, seconds=1.0, error='exit code 1'))
    (root / 'board/leaderboard.json').write_text(json.dumps(dict(command=command, runs=runs)))
    return str(root / 'board')


def test_tables_stand_between_the_marks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load_tool('misc/write_leaderboard.py')
    monkeypatch.setattr(tool, 'ROOT', root)
    for _ in range(2):  # again changes nothing
        tool.main([board(root, {0: 80.0, 1: 82.0})])
        card = (root / 'configs/one/README.md').read_text()
        assert card.startswith('# One\n\nWords before.\n<!-- demo one -->\n| ') and 'not measured' not in card
        assert '| pre-trained | 70.0 (70.0 to 70.0) | 81.0 (80.0 to 82.0) |  |' in card
        assert card.index('pre-trained') < card.index('raw pixels')
        text = ' '.join(card.split())
        assert 'seeds 0, 1, mean and range. A training saw 14,400 images in 4.0 minutes of processor time' in text
        assert text.endswith('<!-- demo other --> kept <!-- end of demo -->')
        assert assemble.DEMO.search(card).groups() == ('70.0 (70.0 to 70.0)', '81.0 (80.0 to 82.0)')
        page = (root / 'docs/methods/leaderboard.md').read_text()
        assert '--full\n\n<!-- leaderboard -->\nAccuracy in %' in page and page.endswith('-->\nend\n')
        assert 'old' not in page and '| one | 70.0' in page and 'exit code' not in page
    for name in ('leaderboard.png', 'gains.png'):
        assert (root / 'docs/images' / name).read_bytes().startswith(b'\x89PNG')


def test_runs_of_earlier_folders_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load_tool('misc/write_leaderboard.py')
    monkeypatch.setattr(tool, 'ROOT', root)
    for runs in ({0: 80.0, 1: 81.0}, {1: 82.0, 2: 85.0}):  # seed 1 again
        tool.main([board(root, runs)])
    assert '82.3 (80.0 to 85.0)' in (root / 'configs/one/README.md').read_text()
    stored = json.loads((root / 'docs/methods/leaderboard.json').read_text())
    assert [run['seed'] for run in stored] == [0, 1, 2]


def test_a_run_that_recorded_less_hides_nothing_of_another(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load_tool('misc/write_leaderboard.py')
    monkeypatch.setattr(tool, 'ROOT', root)
    folder = board(root, {0: 80.0, 1: 81.0})
    file = root / 'board/leaderboard.json'
    content = json.loads(file.read_text())
    first, second = (run['results'] for run in content['runs'][:2])
    first['scores'] = {'after simclr': dict(linear_top1=60.0), **first['scores']}
    del second['processor_minutes']
    file.write_text(json.dumps(content))
    tool.main([folder])
    card = (root / 'configs/one/README.md').read_text()
    assert '| after simclr |  | 60.0 |' in card
    assert '4.0 minutes of processor time' in ' '.join(card.split())


def test_another_page_has_its_own_runs_and_leaves_the_cards(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load_tool('misc/write_leaderboard.py')
    monkeypatch.setattr(tool, 'ROOT', root)
    tool.main([board(root, {0: 90.0})])
    kept = {
        name: (root / name).read_bytes()
        for name in ('configs/one/README.md', 'docs/methods/leaderboard.md', 'docs/images/gains.png')
    }
    tool.main([board(root, {0: 50.0}, 'python board --seeds 0 --data=cifar10 --minutes 10'), '--page', 'cifar10'])
    page = (root / 'docs/methods/cifar10.md').read_text()
    assert '| one | 70.0 | 50.0 |' in page and '90.0' not in page
    assert 'Command: `python tools/benchmarks/leaderboard.py --methods a.py --minutes 10 --data cifar10`' in page
    assert (root / 'docs/images/cifar10.png').is_file()
    assert {name: (root / name).read_bytes() for name in kept} == kept


@pytest.mark.parametrize(
    'options', ['--minutes 1', '--full --data photos', '--full --data=photos', '--seeds 0 --full --dat photos']
)
def test_runs_of_another_budget_or_other_images(
    root: Path, monkeypatch: pytest.MonkeyPatch, options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = load_tool('misc/write_leaderboard.py')
    monkeypatch.setattr(tool, 'ROOT', root)
    with pytest.raises(SystemExit):
        tool.main([board(root, {0: 80.0}, f'python board {options}')])
    message = capsys.readouterr().err
    assert f"'python board {options}'" in message and 'leaderboard.py --full' in message and '--page' in message
    assert not (root / 'docs/methods/leaderboard.json').exists()


@pytest.mark.parametrize(
    ('text', 'message'), [(None, 'write the page'), (MARKS, 'does not name the command of its table')]
)
def test_a_page_that_is_missing_or_names_no_command(
    root: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = load_tool('misc/write_leaderboard.py')
    monkeypatch.setattr(tool, 'ROOT', root)
    if text is not None:
        (root / 'docs/methods/other.md').write_text(text)
    with pytest.raises(SystemExit):
        tool.main([board(root, {0: 80.0}), '--page', 'other'])
    assert message in capsys.readouterr().err and not (root / 'docs/methods/other.json').exists()


def test_a_folder_without_a_leaderboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_tool('misc/write_leaderboard.py').main([str(tmp_path)])
    assert 'has no leaderboard.json: make it with tools/benchmarks/leaderboard.py' in capsys.readouterr().err
