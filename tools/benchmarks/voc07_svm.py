"""Train linear SVMs on VOC2007: ``python tools/benchmarks/voc07_svm.py CHECKPOINT --data-root data/VOCdevkit/VOC2007``.

They are trained on trainval and evaluated on test. ``--low-shot`` trains on a few images per class instead of all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import DataLoader

from mmssl.cli.options import add_config_options, output_file, write_json
from mmssl.cli.tool import tool
from mmssl.converters.trained import load_trained
from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.extract import extract_features
from mmssl.evaluation.linear_svm import COSTS, SHOTS, evaluate_low_shot, evaluate_svm
from mmssl.evaluation.stage_features import CONV_STAGES, POOLS, pooled_stage
from mmssl.utils.errors import UserError, some


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Mean average precision of linear SVMs on frozen features')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file with --config')
    add_config_options(parser, in_checkpoint=True)
    parser.add_argument('--prefix', help="prefix of the backbone's names in the file, such as teacher.backbone")
    parser.add_argument('--data-root', default='data/VOCdevkit/VOC2007', help='default: %(default)s')
    parser.add_argument(
        '--stages',
        nargs='+',
        default=['res5'],
        choices=[*dict.fromkeys([*POOLS, *CONV_STAGES]), 'vector'],
        help='conv1 and res2 to res5 of a ResNet, conv1 to conv5 of AlexNet, VGG16, NIN and WideResNet, or vector, the '
        'vector of any backbone (default: res5)',
    )
    parser.add_argument('--costs', nargs='+', type=float, default=COSTS, help='default: %(default)s')
    default_shots = ' '.join(map(str, SHOTS))
    parser.add_argument(
        '--low-shot', nargs='*', type=int, metavar='K', help=f'positives per class (default: {default_shots})'
    )
    parser.add_argument(
        '--num-samples', type=int, default=5, help='number of draws of --low-shot (default: %(default)s)'
    )
    parser.add_argument('--size', type=int, default=224, help='side of the images, in pixels (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=64, help='default: %(default)s')
    parser.add_argument(
        '--num-workers', type=int, default=4, help='number of processes that load images (default: %(default)s)'
    )
    parser.add_argument(
        '--num-jobs', type=int, default=1, help='number of processes that fit SVMs (default: %(default)s)'
    )
    parser.add_argument('--out', type=output_file, help='JSON file to write every number to')
    return parser.parse_args(argv)


def make_loader(args: argparse.Namespace, split: str) -> DataLoader:
    """Returns the dataloader of a split."""
    return PretrainRunner.build_dataloader(
        dict(
            batch_size=args.batch_size,
            num_workers=args.num_workers,
            collate_fn=dict(type='collate_views'),
            sampler=dict(type='EpochSampler', shuffle=False),
            dataset=dict(
                type='VOCClassification',
                data_root=args.data_root,
                split=split,
                transform=dict(type='SquareView', resize=round(args.size * 256 / 224), size=args.size),
            ),
        ),
        seed=0,
    )


def features_of(model: nn.Module, loader: DataLoader, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns features and targets of a split."""
    dataset: Any = loader.dataset
    feature = None if stage == 'vector' else pooled_stage(model.backbone, stage)
    features = extract_features(model, loader, feature=feature, description=f'{stage}: {len(dataset)} images')
    features.check_finite(f'images of {dataset.data_root}')
    return features.vectors.numpy(), dataset.targets[features.indices].numpy()


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, dict]:
    args = parse_args(argv)
    cfg, model = load_trained(args.checkpoint, args.config, args.cfg_options, args.prefix)
    init_default_scope(cfg.default_scope)
    loaders = [make_loader(args, split) for split in ('trainval', 'test')]
    if alone := {*loaders[0].dataset.classes} ^ {*loaders[1].dataset.classes}:  # targets have no names
        raise UserError(f'only trainval or only test has lists of {some(sorted(alone))}: complete ImageSets/Main')
    results = {}
    for stage in args.stages:
        train, test = (features_of(model, loader, stage) for loader in loaders)
        if args.low_shot is None:
            full = evaluate_svm(train, test, args.costs, args.num_jobs)
            results[stage] = dict(svm_map=full.mean, average_precisions=full.average_precisions, costs=full.costs)
            print(f'{stage}: mean average precision {full.mean:.2f}')
        else:
            few = evaluate_low_shot(
                train, test, args.low_shot or SHOTS, args.costs, args.num_samples, num_jobs=args.num_jobs
            )
            results[stage] = dict(low_shot=few.best(), shots=few.shots, costs=few.costs, maps=few.maps.tolist())
            for number, value in few.best().items():
                print(f'{stage}, {number} per class: mean average precision {value:.2f}, cost chosen on test images')
    write_json(dict(checkpoint=args.checkpoint, **results), args.out)
    return results


if __name__ == '__main__':
    main()
