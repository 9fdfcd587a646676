"""Pre-train a backbone, or train a model on one: ``python tools/train.py CONFIG [--pretrained CHECKPOINT]``.

Exit code 2: a mistake in the command, the config or the data, told in one message (``MMSSL_DEBUG=1`` shows where).
Exit code 1 of ``--dry-run``: the cost was printed, and what would keep the run from starting.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmssl.cli.options import add_run_options, add_transfer_options, transfer_options, whole_number
from mmssl.cli.tool import tool
from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.datasets.checks import check_data
from mmssl.distributed.collectives import rank
from mmssl.distributed.launch import join_processes
from mmssl.engine.stages import StepReport, read_stages, run_stages, select
from mmssl.profiling.dry_run import Report, dry_run
from mmssl.profiling.dry_run_stages import dry_run_stages
from mmssl.registry import RUNNERS
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Pre-train a backbone without labels, or train a model on one')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='PATH', help='go on from PATH, or from the latest checkpoint'
    )
    add_transfer_options(parser)
    parser.add_argument(
        '--amp', nargs='?', const='bf16', choices=['bf16', 'fp16'], help='mixed precision (default type: bf16)'
    )
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate by global batch / base_batch_size'
    )
    parser.add_argument('--no-validate', action='store_true', help='no evaluation while training')
    parser.add_argument('--seed', type=whole_number, help='seed of weights, order and augmentation')
    parser.add_argument(
        '--dry-run', action='store_true', help='build everything, run one iteration, print the cost, leave no file'
    )
    parser.add_argument('--from-stage', metavar='NAME', help='begin with this stage of a config with stages')
    parser.add_argument('--only-stage', metavar='NAME', help='run this stage of a config with stages')
    add_run_options(parser)
    return parser.parse_args(argv)


def apply_args(cfg: Config, args: argparse.Namespace) -> None:
    """Writes the command line into the config: it has precedence over the file."""
    cfg.setdefault('runner_type', 'mmssl.TransferRunner')  # of detectors and segmenters
    work_dir = args.work_dir or cfg.get('work_dir') or Path('work_dirs') / Path(args.config).stem
    cfg.work_dir = str(Path(work_dir).expanduser())
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.amp is not None:
        cfg.optim_wrapper.type = ('' if cfg.default_scope == 'mmssl' else 'mmssl.') + 'MixedPrecisionOptimWrapper'
        cfg.optim_wrapper.dtype = {'bf16': 'bfloat16', 'fp16': 'float16'}[args.amp]
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError('--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in the config')
        cfg.auto_scale_lr.enable = True
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop('save_best', None)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    if transfer := transfer_options(args):
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmssl.TransferHook', **transfer)]


def train_stages(cfg: Config, args: argparse.Namespace) -> StepReport | None:
    """Runs the stages of a config, or reports what they would cost."""
    if args.resume not in (None, 'auto') or args.pretrained is not None:
        raise UserError('a config with stages takes --resume without a path, and no --pretrained')
    stages = read_stages(args.config, args.cfg_options)
    selected = select(stages, args.only_stage, args.from_stage)
    join_processes(cfg, args.launcher)
    for stage in stages:
        if stage.trains:
            apply_args(stage.config, args)
            stage.config.launcher = args.launcher
    if args.dry_run:
        return dry_run_stages(stages, selected, cfg.work_dir)
    return run_stages(stages, selected, cfg.work_dir, resume=args.resume is not None)


def train(cfg: Config, args: argparse.Namespace) -> Report | None:
    """Runs one training, or reports what it would cost."""
    if args.from_stage or args.only_stage:
        raise UserError(f'{args.config} has no stages for --from-stage or --only-stage')
    check_config(cfg, data=not args.dry_run)
    join_processes(cfg, args.launcher)
    if args.dry_run:
        return dry_run(cfg)
    check_data(cfg)
    return RUNNERS.build(cfg).train()


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.default_scope)
    apply_args(cfg, args)
    report = train_stages(cfg, args) if 'stages' in cfg else train(cfg, args)
    if args.dry_run:
        if rank() == 0:
            print(report)
        sys.exit(1 if report.problems else 0)


if __name__ == '__main__':
    main()
