"""tools/misc/index_images.py and tools/profiling/data_scale.py: an index, its figures, and mistakes in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmssl.profiling.data_scale import write_tar_shards
from tests.support.tools import load_tool

index_images = load_tool('misc/index_images.py')
data_scale = load_tool('profiling/data_scale.py')
FIGURES = {'index_size_mib', 'open_seconds', 'first_batch_seconds', 'images_per_second', 'dataset_mib', 'worker_mib'}


def test_writes_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tar_shards(tmp_path, 30, links=3)
    index_images.main([str(tmp_path), '--jobs', '2'])
    assert capsys.readouterr().out.startswith('30 images in 3 shards, ')
    assert (tmp_path / 'mmssl_index' / 'index.json').is_file()


def test_mistakes_end_in_one_sentence(tmp_path: Path, fails: Callable[..., str]) -> None:
    assert 'matches no file; set data_root to a folder of .tar files' in fails(index_images.main, tmp_path)
    write_tar_shards(tmp_path, 20, links=2)
    assert 'labels.npy is not an .npy file' in fails(index_images.main, tmp_path, '--labels', tmp_path / 'labels.npy')
    for shard in tmp_path.glob('*.tar'):
        shard.write_bytes(shard.read_bytes()[:-1024])  # without its end mark
    message = fails(index_images.main, tmp_path, '--jobs', '2')
    assert '000000.tar is truncated' in message and 'Traceback' not in message


@pytest.mark.parametrize('kind', ['tar', 'lmdb'])
def test_measures_start_and_memory(kind: str, tmp_path: Path) -> None:
    out = tmp_path / 'figures.json'
    options = ['--workers', '1', '--batches', '2', '--jobs', '1', '--window', '4', '--scratch', str(tmp_path)]
    data_scale.main(['--kind', kind, '--images', '600', *options, '--out', str(out)])
    figures = json.loads(out.read_text())
    assert figures['images'] == 600 and figures.keys() > FIGURES
    assert [path.name for path in tmp_path.iterdir()] == ['figures.json']
