"""The suite tool: report, JSON and figure, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tools import load_tool


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    """A suite whose first protocol writes a figure and whose second fails."""
    script = tmp_path / 'script.py'
    script.write_text(
        'import json, sys\nfrom pathlib import Path\n'
        'Path(sys.argv[1]).write_text(json.dumps(dict(accuracy=int("--pretrained" in sys.argv))))\n'
    )
    path = tmp_path / 'mine.py'
    path.write_text(
        f'protocols = dict(a=dict(metric="accuracy", command=[{str(script)!r}, "{{out}}"], scale=100.0),'
        f'b=dict(metric="mIoU", command=[{str(script)!r}, "{{out}}"]))'
    )
    return path


def run(main, *argv: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in argv])
    return exit_.value.code


def test_report_json_and_figure(tmp_path, suite_file, capsys):
    main = load_tool('benchmarks/run_suite.py').main
    checkpoint = tmp_path / 'epoch_1.pth'
    checkpoint.touch()
    arguments = [checkpoint, '--suite', suite_file, '--work-dir', tmp_path / 'out', '--seeds', 0, 0]
    assert run(main, *arguments) == 1
    assert '| a | accuracy | 0.00 | 100.00 | +100.00 | 1 + 1 |' in (tmp_path / 'out' / 'report.md').read_text()
    values = [entry['value'] for entry in json.loads((tmp_path / 'out' / 'results.json').read_text())]
    assert values == [100.0, 0.0, None, None]
    assert (tmp_path / 'out' / 'results.png').stat().st_size > 5000
    assert run(main, *arguments, '--protocols', 'a', '--no-random') == 0
    assert 'no mIoU' not in capsys.readouterr().out.split('a pretrained seed 0')[-1]


def test_mistakes(tmp_path, suite_file, fails):
    main = load_tool('benchmarks/run_suite.py').main
    assert 'does not exist' in fails(main, tmp_path / 'none.pth', '--suite', suite_file)
    checkpoint = tmp_path / 'epoch_1.pth'
    checkpoint.touch()
    assert "no suite 'nothing'" in fails(main, checkpoint, '--suite', 'nothing')
    assert "no protocol 'c'" in fails(main, checkpoint, '--suite', suite_file, '--protocols', 'c')
