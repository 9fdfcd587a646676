"""Where the time of a recipe goes: ``python tools/profiling/throughput.py CONFIG``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.registry import init_default_scope

from mmssl.cli.options import CfgOptions
from mmssl.cli.tool import tool
from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.profiling.throughput import measure_throughput

LINES = (
    ('loader', '{loader_per_worker:.0f} images/s per worker, {num_workers} workers'),
    ('augmentation', '{augmentation:.0f} images/s'),
    ('model step', '{model_step:.1f} images/s on synthetic images'),
    ('end to end', '{end_to_end:.1f} images/s, batch size {batch_size}'),
    ('data wait', '{data_wait:.1%} of the time'),
    ('augmentation / model step', '{augmentation_share:.3f}'),
    ('training loop / bare loop', '{step_overhead:.3f}'),
    ('peak memory', '{peak_memory} bytes'),
    ('device', '{device}'),
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure loading, augmentation, model and all of it together')
    parser.add_argument('config', help='config file')
    parser.add_argument('--iters', type=int, default=10, help='batches in one measurement of the whole (default: 10)')
    parser.add_argument('--repeats', type=int, default=5, help='the medians are over so many (default: 5)')
    parser.add_argument('--amp', choices=['bf16', 'fp16'], help='mixed precision')
    parser.add_argument('--out', help='JSON file to write the figures to')
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='settings that override the config'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.default_scope)
    if args.amp:
        cfg.optim_wrapper.type = 'MixedPrecisionOptimWrapper'
        cfg.optim_wrapper.dtype = {'bf16': 'bfloat16', 'fp16': 'float16'}[args.amp]
    check_config(cfg)
    figures = measure_throughput(cfg, args.iters, args.repeats)
    for name, text in LINES:
        print(f'{name:<26}{text.format(**figures)}')
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(json.dumps(dict(figures, config=args.config), indent=2))


if __name__ == '__main__':
    main()
