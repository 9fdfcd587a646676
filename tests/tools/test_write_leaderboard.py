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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ('configs/one', 'docs/methods', 'docs/images', 'board'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'configs/one/README.md').write_text(CARD)
    page = '# Table\n<!-- leaderboard -->\nold\n<!-- end of leaderboard -->\nend\n'
    (tmp_path / 'docs/methods/leaderboard.md').write_text(page)
    shared = dict(images=14400, minutes=9.0, processor_minutes=4.0, cpu='Xeon', threads=1, torch='2.15', commit='abc')
    runs = []
    for seed, top1 in enumerate((80.0, 82.0)):
        scores = {'raw pixels': dict(linear_top1=47.5), 'pre-trained': dict(linear_top1=top1, knn_top1=70.0)}
        runs.append(dict(method='one', seed=seed, results=dict(shared, scores=scores), seconds=1.0, error=''))
    runs.append(dict(method='other', seed=0, results=None, seconds=1.0, error='exit code 1'))
    (tmp_path / 'board/leaderboard.json').write_text(
        json.dumps(dict(command='python board --work-dir /here --full', runs=runs))
    )
    (tmp_path / 'board/leaderboard.png').write_bytes(b'figure')
    return tmp_path


def test_tables_stand_between_the_marks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load_tool('misc/write_leaderboard.py')
    monkeypatch.setattr(tool, 'ROOT', root)
    for _ in range(2):  # again changes nothing
        tool.main([str(root / 'board')])
        card = (root / 'configs/one/README.md').read_text()
        assert card.startswith('# One\n\nWords before.\n<!-- demo one -->\n| ') and 'not measured' not in card
        assert '| pre-trained | 70.0 (70.0 to 70.0) | 81.0 (80.0 to 82.0) |  |' in card
        assert card.index('pre-trained') < card.index('raw pixels')
        text = ' '.join(card.split())
        assert 'seeds 0, 1, mean and range. A training saw 14,400 images in 4.0 minutes of processor time' in text
        assert text.endswith('<!-- demo other --> kept <!-- end of demo -->')
        assert assemble.DEMO.search(card).groups() == ('70.0 (70.0 to 70.0)', '81.0 (80.0 to 82.0)')
        page = (root / 'docs/methods/leaderboard.md').read_text()
        assert page.startswith('# Table\n<!-- leaderboard -->\nAccuracy in %') and page.endswith('-->\nend\n')
        assert 'old' not in page and '| one | 70.0' in page and '`python board --full`' in page
    assert (root / 'docs/images/leaderboard.png').read_bytes() == b'figure'


def test_a_folder_without_a_leaderboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_tool('misc/write_leaderboard.py').main([str(tmp_path)])
    assert 'has no leaderboard.json: make it with tools/benchmarks/leaderboard.py' in capsys.readouterr().err
