"""Measure time and memory of a step of masked image modelling: ``python tools/profiling/masked_step.py CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmssl.cli.options import add_config_options, count, load_run, output_file, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure a masked step, a plain loop over timm's blocks, and an unmasked step"
    )
    add_config_options(parser)
    parser.add_argument('--batch-size', type=count, help="number of images of a step (default: the config's)")
    parser.add_argument('--repeats', type=int, default=5, help='number of measurements for the medians (default: 5)')
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], default='float32', help='default: float32')
    parser.add_argument('--no-compile', action='store_true', help="skip the step with compile='blocks'")
    parser.add_argument(
        '--memory', action='store_true', help='compare the memory with that of the backbone alone on all patches'
    )
    parser.add_argument('--reference-arch', help="arch of that backbone (default: the config's)")
    parser.add_argument('--out', type=output_file, help='JSON file to write the figures to')
    return parser.parse_args(argv)


def print_time(figures: dict[str, Any]) -> None:
    wall, processor = figures['wall'], figures['processor']
    print(f'{"":<26}{"wall":>10}{"processor":>12}')
    for name in wall['seconds']:
        print(f'{name:<26}{wall["seconds"][name]:>8.3f} s{processor["seconds"][name]:>10.3f} s')
    for name in [name for name in wall if name != 'seconds']:
        print(f'{name:<26}{wall[name]:>8.3f}  {processor[name]:>10.3f}')


def print_memory(figures: dict[str, Any]) -> None:
    step, reference = figures['step'], figures['reference']
    print(f'{"MiB":<26}{"step":>10}{"reference":>12}{"ratio":>8}')
    for name in step:
        ratio = step[name] / reference[name]
        print(f'{name:<26}{step[name] / 2**20:>10.1f}{reference[name] / 2**20:>12.1f}{ratio:>8.3f}')


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.profiling.masked_step import measure_mim_memory, measure_mim_step

    cfg = load_run(args.config, args.cfg_options, data=False, needed=('model', 'train_dataloader'))
    if args.memory:
        figures = measure_mim_memory(cfg, args.batch_size, args.dtype, args.reference_arch)
    else:
        compile_options = None if args.no_compile else {}
        figures = measure_mim_step(cfg, args.batch_size, args.repeats, args.dtype, compile_options)
    print(f'{figures["batch_size"]} images, {figures["dtype"]}, {figures["device"]}')
    (print_memory if args.memory else print_time)(figures)
    write_json(dict(figures, config=args.config), args.out)


if __name__ == '__main__':
    main()
