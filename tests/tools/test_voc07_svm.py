"""tools/benchmarks/voc07_svm.py on a small set in VOC's layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.image_files import write_images
from tests.support.tools import load_tool
from tests.support.trained import save_trained

svm = load_tool('benchmarks/voc07_svm.py')


@pytest.fixture
def arguments(write_config: Callable[..., Path], tmp_path: Path) -> list[str]:
    """An untrained model, and 24 grey images: the class 'light' is that of the brighter half."""
    root = tmp_path / 'VOC2007'
    write_images(root / 'JPEGImages', [f'{i:06}.jpg' for i in range(24)])
    (root / 'ImageSets' / 'Main').mkdir(parents=True)
    for split, rows in (('trainval', range(0, 24, 2)), ('test', range(1, 24, 2))):
        for name, is_there in (('dark', lambda i: i < 12), ('light', lambda i: i >= 12)):
            lines = [f'{i:06} {1 if is_there(i) else -1}' for i in rows]
            (root / 'ImageSets' / 'Main' / f'{name}_{split}.txt').write_text('\n'.join(lines))
    save_trained(write_config(), tmp_path / 'epoch_1.pth')
    return f'{tmp_path}/epoch_1.pth --data-root {root} --size 64 --num-workers 0 --costs 1 100'.split()


def test_full_benchmark(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = svm.main([*arguments, '--stages', 'vector', 'res2', '--out', str(tmp_path / 'svm.json')])
    assert set(results) == {'vector', 'res2'} and len(results['res2']['average_precisions']) == 2
    assert results['res2']['svm_map'] > 90
    assert set(results['res2']['costs']) <= {1.0, 100.0}
    assert json.loads((tmp_path / 'svm.json').read_text())['vector'] == results['vector']
    assert f'res2: mean average precision {results["res2"]["svm_map"]:.2f}' in capsys.readouterr().out


def test_low_shot(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    results = svm.main([*arguments, '--stages', 'res2', '--low-shot', '1', '4', '--num-samples', '2'])
    assert set(results['res2']['low_shot']) == {1, 4} and len(results['res2']['maps']) == 2
    assert 'res2, 4 per class' in capsys.readouterr().out


def test_mistakes(arguments: list[str], fails: Callable[..., str]) -> None:
    assert 'holds no lists' in fails(svm.main, *arguments[:2], '/no/such')
    lists = Path(arguments[2]) / 'ImageSets' / 'Main'
    (lists / 'bird_test.txt').write_text((lists / 'dark_test.txt').read_text())  # would shift the later classes
    assert 'only trainval or only test has lists of bird' in fails(svm.main, *arguments)
    (lists / 'bird_test.txt').unlink()
    assert 'too few for 50' in fails(svm.main, *arguments, '--stages', 'res2', '--low-shot', '50')
