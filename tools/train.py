"""Pre-train a backbone, or train a model on one: ``python tools/train.py CONFIG [--pretrained CHECKPOINT]``.

Exit code 2 means a mistake in the command, the config or the data, with one message (``MMSSL_DEBUG=1`` adds the
traceback). Exit code 1 of ``--dry-run`` means that the printed problems would keep the run from starting.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import mmssl
from mmssl.cli.options import add_amp_option, add_run_options, add_transfer_options, transfer_options, whole_number
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Pre-train a backbone without labels, or train a model on one')
    parser.add_argument('config', help='config file, or the name of a recipe')
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='PATH', help='resume from PATH, or from the latest checkpoint'
    )
    parser.add_argument('--images', metavar='FOLDER', help='folder of images to use instead of those of the config')
    add_transfer_options(parser)
    add_amp_option(parser)
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate by global batch / base_batch_size'
    )
    parser.add_argument(
        '--auto-batch', action='store_true', help="keep the recipe's batch, in micro-batches that fit into memory"
    )
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate during training')
    parser.add_argument('--seed', type=whole_number, help='seed of weights, order and augmentation')
    parser.add_argument(
        '--dry-run', action='store_true', help='build everything, run one iteration, print the cost, leave no file'
    )
    parser.add_argument(
        '--dry-run-on',
        metavar='32x80',
        help='print the memory of one of 32 processes with 80 GiB each, which need not be there; computes nothing',
    )
    parser.add_argument('--from-stage', metavar='NAME', help='first stage to run, for a config with stages')
    parser.add_argument('--only-stage', metavar='NAME', help='only stage to run, for a config with stages')
    add_run_options(parser)
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    report = mmssl.train(
        args.config,
        args.work_dir,
        cfg_options=args.cfg_options,
        images=args.images,
        resume=True if args.resume == 'auto' else False if args.resume is None else args.resume,
        pretrained=transfer_options(args) or None,
        amp=args.amp,
        auto_scale_lr=args.auto_scale_lr,
        auto_batch=args.auto_batch,
        validate=not args.no_validate,
        seed=args.seed,
        launcher=args.launcher,
        only_stage=args.only_stage,
        from_stage=args.from_stage,
        dry=args.dry_run_on or args.dry_run,
    )
    if args.dry_run or args.dry_run_on:
        from mmssl.distributed.collectives import rank

        if rank() == 0:
            print(report)
        sys.exit(1 if report.problems else 0)


if __name__ == '__main__':
    main()
