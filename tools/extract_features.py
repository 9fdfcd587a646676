"""Write the features of a dataset: ``python tools/extract_features.py CONFIG CHECKPOINT --out features.npz``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching
from mmssl.cli.options import CfgOptions
from mmssl.cli.tool import tool
from mmssl.config.check import check_config
from mmssl.config.load import evaluation_dataloader, load_config
from mmssl.datasets.base import printable
from mmssl.distributed.launch import LAUNCHERS, join_processes
from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.extract import extract_features
from mmssl.registry import MODELS
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the features of a dataset as .npy (vectors) or .npz')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file')
    parser.add_argument('--out', required=True, help='.npy: vectors alone; .npz: vectors, names, labels and indices')
    parser.add_argument('--images', metavar='FOLDER', help='every image below, in place of those of the config')
    parser.add_argument('--data', choices=['val', 'test', 'bank'], help='which images of the config (default: val)')
    parser.add_argument('--amp', choices=['bf16', 'fp16'], help='compute in mixed precision')
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='settings that override the config'
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='what started this process')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')
    return parser.parse_args(argv)


def keep_model(cfg: Config) -> Config:
    """The config without its data, which need not be here."""
    data = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'val_cfg', 'test_cfg', 'load_from')
    return Config({key: value for key, value in cfg.items() if key not in data}, filename=cfg.filename)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    out = Path(args.out)
    if out.suffix not in ('.npy', '.npz'):
        raise UserError(f'--out must end in .npy or .npz, got {args.out!r}')
    if args.images and args.data:
        raise UserError('--images and --data both say which images: name one')
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.default_scope)
    loader = evaluation_dataloader(cfg, args.data or 'val')
    if args.images:
        loader['dataset'] = dict(type='ImageFolder', data_root=args.images, transform=loader['dataset']['transform'])
        cfg = keep_model(cfg)
    check_config(cfg)
    if not Path(args.checkpoint).is_file():
        raise UserError(f'checkpoint {args.checkpoint!r} does not exist')
    join_processes(cfg, args.launcher)
    model = MODELS.build(cfg.model).to(get_device())
    load_matching(model.backbone, get_state_dict(load_checkpoint_file(args.checkpoint)), args.checkpoint)
    dtype = {None: None, 'bf16': 'bfloat16', 'fp16': 'float16'}[args.amp]
    images = PretrainRunner.build_dataloader(loader, seed=0)
    features = extract_features(model, images, dtype=dtype, description='features')
    if features is None:  # another process writes
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == '.npy':
        np.save(out, features.vectors.numpy())
    else:
        columns = dict(vectors=features.vectors, labels=features.labels, indices=features.indices)
        names = np.array([printable(images.dataset.name(index)) for index in features.indices.tolist()])
        np.savez(out, names=names, **{name: column.numpy() for name, column in columns.items()})
    print(f'{len(features)} vectors of {features.vectors.shape[1]} dimensions: {out}')


if __name__ == '__main__':
    main()
