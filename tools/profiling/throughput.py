"""Measure the time of the parts of a recipe: ``python tools/profiling/throughput.py CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_amp_option, add_config_options, load_run, output_file, write_json
from mmssl.cli.tool import tool

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
    parser = argparse.ArgumentParser(description='Measure loading, augmentation, model, and the whole run')
    add_config_options(parser)
    parser.add_argument(
        '--iters', type=int, default=10, help='number of batches in one measurement of the whole run (default: 10)'
    )
    parser.add_argument('--repeats', type=int, default=5, help='number of measurements for the medians (default: 5)')
    add_amp_option(parser)
    parser.add_argument('--out', type=output_file, help='JSON file to write the figures to')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.config.load import drop_evaluations
    from mmssl.profiling.throughput import measure_throughput

    cfg = load_run(args.config, args.cfg_options, drop_evaluations, needed=('model', 'train_dataloader'))
    if args.amp is not None:
        cfg.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=args.amp)
    figures = measure_throughput(cfg, args.iters, args.repeats)
    for name, text in LINES:
        print(f'{name:<26}{text.format(**figures)}')
    write_json(dict(figures, config=args.config), args.out)


if __name__ == '__main__':
    main()
