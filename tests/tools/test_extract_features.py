"""tools/extract_features.py: what it writes, and the mistakes it reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope

from mmssl.config.load import load_config
from mmssl.engine.runner import PretrainRunner
from mmssl.registry import MODELS
from tests.support.tools import load_tool

tool = load_tool('extract_features.py')


def save_backbone(config: Path, path: Path) -> torch.nn.Module:
    init_default_scope('mmssl')
    model = MODELS.build(load_config(config).model)
    torch.save(dict(state_dict=model.backbone.state_dict()), path)
    return model.eval()


def test_files_hold_the_features_of_the_checkpoint(write_config: Callable[..., Path], tmp_path: Path) -> None:
    config, checkpoint = write_config(), tmp_path / 'backbone.pth'
    model = save_backbone(config, checkpoint)
    tool.main([str(config), str(checkpoint), '--out', str(tmp_path / 'new' / 'x.npz')])
    tool.main([str(config), str(checkpoint), '--out', str(tmp_path / 'x.npy'), '--data', 'bank'])
    written = np.load(tmp_path / 'new' / 'x.npz')
    assert written['labels'].tolist() == [-1] * 8 and written['indices'].tolist() == list(range(8))
    assert np.array_equal(np.load(tmp_path / 'x.npy'), written['vectors'])  # bank and queries are the same images
    batch = next(iter(PretrainRunner.build_dataloader(load_config(config).val_dataloader)))
    with torch.no_grad():
        expected = model.extract_feat(model.data_preprocessor(batch)['inputs'])
    np.testing.assert_allclose(written['vectors'][:4], expected.numpy(), rtol=1e-5, atol=1e-6)


def test_the_file_names_the_classes_of_its_labels(
    write_config: Callable[..., Path], images: Path, tmp_path: Path
) -> None:
    for number, name in enumerate('ac'):  # the class b has no folder here, so c has the label 1
        (tmp_path / 'val' / name).mkdir(parents=True)
        (tmp_path / 'val' / name / '0.png').hardlink_to(images / f'{number}.png')
    config, checkpoint, out = write_config(), tmp_path / 'backbone.pth', tmp_path / 'x.npz'
    save_backbone(config, checkpoint)
    change = ['val_dataloader.dataset.type=ClassFolder', f'val_dataloader.dataset.data_root={tmp_path / "val"}']
    tool.main([str(config), str(checkpoint), '--out', str(out), '--cfg-options', *change])
    written = np.load(out)
    assert [written['classes'][label] for label in written['labels']] == ['a', 'c']


def test_every_image_of_a_folder_with_its_name(write_config: Callable[..., Path], images: Path, tmp_path: Path) -> None:
    config, checkpoint = write_config((f"'{images}'", "'/no/such/folder'")), tmp_path / 'backbone.pth'
    save_backbone(config, checkpoint)
    (tmp_path / 'photos' / 'deep').mkdir(parents=True)
    for index in range(8):
        (tmp_path / 'photos' / 'deep' / f'{index}.png').hardlink_to(images / f'{index}.png')
    out = tmp_path / 'x.npz'
    tool.main([str(config), str(checkpoint), '--images', str(tmp_path / 'photos'), '--out', str(out)])
    written = np.load(out)
    assert written['names'].tolist() == [str(tmp_path / 'photos' / 'deep' / f'{i}.png') for i in range(8)]
    assert written['vectors'].shape == (8, 64)


def test_mistakes(write_config: Callable[..., Path], fails: Callable[..., str], tmp_path: Path) -> None:
    config, checkpoint = write_config(), tmp_path / 'backbone.pth'
    save_backbone(config, checkpoint)
    assert '.npy or .npz' in fails(tool.main, config, checkpoint, '--out', tmp_path / 'x.txt')
    (tmp_path / 'folder.npy').mkdir()
    assert 'it is a folder' in fails(tool.main, config, checkpoint, '--out', tmp_path / 'folder.npy')
    out = ['--out', tmp_path / 'x.npy']
    assert 'does not exist' in fails(tool.main, config, tmp_path / 'no.pth', *out)
    assert 'no test images; it has val, bank' in fails(tool.main, config, checkpoint, *out, '--data', 'test')
    assert 'backbone: 120/200' in fails(tool.main, write_config(('depth=18', 'depth=34')), checkpoint, *out)
    assert 'give one of them' in fails(tool.main, config, checkpoint, *out, '--images', tmp_path, '--data', 'val')
    assert not (tmp_path / 'x.npy').exists()


def test_a_place_that_cannot_be_written_is_found_before_the_work(
    write_config: Callable[..., Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    (tmp_path / 'file').touch()
    message = fails(tool.main, write_config(), tmp_path / 'file', '--out', tmp_path / 'file' / 'x.npz')
    assert 'x.npz cannot be written (' in message and 'give another path' in message
