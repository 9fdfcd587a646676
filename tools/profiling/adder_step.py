"""Measure time and memory of a step of an adder network: ``python tools/profiling/adder_step.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmssl.cli.options import count, output_file, write_json
from mmssl.cli.tool import tool
from mmssl.models.backbones.adder_resnet import DEPTHS
from mmssl.profiling.adder_step import KINDS, measure_adder_memory, measure_adder_step


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Measure a step with adder layers, with straightforward forms of them, and with convolutions'
    )
    parser.add_argument('--depth', type=int, choices=sorted(DEPTHS), default=20, help='ResNet depth (default: 20)')
    parser.add_argument('--batch-size', type=count, default=32, help='number of images of a step (default: 32)')
    parser.add_argument('--size', type=count, default=32, help='side of the images in pixels (default: 32)')
    parser.add_argument('--repeats', type=int, default=5, help='number of measurements for the medians (default: 5)')
    parser.add_argument('--no-memory', action='store_true', help='do not measure memory')
    parser.add_argument('--out', type=output_file, help='JSON file to write the figures to')
    return parser.parse_args(argv)


def print_figures(figures: dict[str, Any]) -> None:
    threads = f', {figures["threads"]} threads' if figures['device'] == 'cpu' else ''
    print(f'ResNet-{figures["depth"]}, {figures["batch_size"]} images of {figures["size"]} px, ', end='')
    print(f'forward and backward, {figures["device"]}{threads}')
    wall, processor = figures['wall'], figures['processor']
    print(f'{"":<26}{"wall":>10}{"processor":>12}{"peak memory":>14}')
    for kind in KINDS:
        peak = f'{figures["memory"][kind] / 2**20:>10.0f} MiB' if 'memory' in figures else ''
        print(f'{kind:<26}{wall["seconds"][kind]:>8.3f} s{processor["seconds"][kind]:>10.3f} s{peak}')
    for name in [name for name in wall if name != 'seconds']:
        print(f'{name:<26}{wall[name]:>8.3f}  {processor[name]:>10.3f}')


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    figures = measure_adder_step(args.depth, args.batch_size, args.size, args.repeats)
    if not args.no_memory:
        figures['memory'] = measure_adder_memory(args.depth, args.batch_size, args.size)
    print_figures(figures)
    write_json(figures, args.out)


if __name__ == '__main__':
    main()
