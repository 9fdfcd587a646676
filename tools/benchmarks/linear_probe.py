"""Train linear probes on cached features: ``python tools/benchmarks/linear_probe.py CHECKPOINT``.

The classifier learns from the config's bank images and is evaluated on its validation images; a held-out part of the
bank selects the learning rate. A recipe's ImageNet bank is a tenth of the training images; to use all: ``--cfg-options
val_cfg.bank_dataloader.dataset.split=all``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean

from mmengine.registry import init_default_scope

from mmssl.cli.options import add_amp_option, add_config_options, output_file, write_json
from mmssl.cli.tool import tool
from mmssl.config.load import evaluation_dataloader
from mmssl.converters.trained import load_trained
from mmssl.datasets.class_numbers import share_classes
from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.extract import extract_features
from mmssl.evaluation.linear_sweep import HEADS, LinearSweep


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train linear classifiers of many settings at once on cached features')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file with --config')
    add_config_options(parser, in_checkpoint=True)
    parser.add_argument('--prefix', help="prefix of the backbone's names in the file, such as teacher.backbone")
    parser.add_argument('--lrs', nargs='+', type=float, metavar='LR', help='learning rates at batch size 256')
    parser.add_argument('--weight-decays', nargs='+', type=float, metavar='WD', help='weight decays')
    parser.add_argument('--heads', nargs='+', choices=HEADS, help='scalings of the features (default: standardized)')
    parser.add_argument('--epochs', type=float, help='passes over the training images (default: 30)')
    parser.add_argument('--batch-size', type=int, help='images per step (default: 1024)')
    parser.add_argument('--num-seeds', type=int, help='number of seeds (default: 3)')
    parser.add_argument('--seed', type=int, default=0, help='first seed (default: 0)')
    parser.add_argument('--random-init', action='store_true', help='probe the untrained network')
    add_amp_option(parser)
    parser.add_argument('--out', type=output_file, help='JSON file to write every number to')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    options = ('lrs', 'weight_decays', 'heads', 'epochs', 'batch_size', 'num_seeds', 'seed')
    sweep = LinearSweep(**{name: getattr(args, name) for name in options if getattr(args, name) is not None})
    random_init = args.seed if args.random_init else None
    cfg, model = load_trained(args.checkpoint, args.config, args.cfg_options, args.prefix, random_init=random_init)
    init_default_scope(cfg.default_scope)
    loaders = {
        data: PretrainRunner.build_dataloader(evaluation_dataloader(cfg, data), seed=0) for data in ('bank', 'val')
    }
    share_classes(loaders['bank'].dataset.classes, loaders['val'].dataset, 'val_dataloader.dataset')
    bank, queries = (
        extract_features(model, loader, dtype=args.amp, description=f'features: {data}')
        for data, loader in loaders.items()
    )
    print(f'the classifier learns from {len(bank):,} images (the bank) and is evaluated on {len(queries):,}')
    device = next(model.parameters()).device
    result = sweep.run(bank.to(device), queries.to(device))
    print(f'{"head":<14}{"lr":>8}{"decay":>8}  held-out top-1, mean of {len(result.top1)} seeds')
    for candidate in result.candidates:
        times = result.chosen.count(candidate)
        mark = f'  chosen by {times}' if times else ''
        accuracy = fmean(candidate.held_out)
        print(f'{candidate.head:<14}{candidate.lr:>8g}{candidate.weight_decay:>8g}{accuracy:>10.2f}{mark}')
    summary = result.summary()
    print(f'top-1 {summary["sweep_top1"]:.2f} +- {summary["sweep_top1_std"]:.2f}, top-5 {summary["sweep_top5"]:.2f}')
    content = dict(checkpoint=args.checkpoint, num_bank=len(bank), num_evaluated=len(queries), **summary)
    write_json(dict(content, **asdict(result)), args.out)
    return summary


if __name__ == '__main__':
    main()
