"""Compare a step with its parts and an official-style step: ``python tools/profiling/step_cost.py CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_config_options, count, load_run, output_file, write_json
from mmssl.cli.tool import tool

RATIOS = ('step_over_parts', 'step_over_official_style')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure a training step, its parts alone and an official-style step')
    add_config_options(parser)
    parser.add_argument('--batch-size', type=count, help="number of images of a step (default: the config's)")
    parser.add_argument('--size', type=count, help="side of the largest views in pixels (default: the config's)")
    parser.add_argument('--repeats', type=int, default=5, help='number of measurements for the medians (default: 5)')
    parser.add_argument('--out', type=output_file, help='JSON file to write the figures to')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.profiling.step_cost import measure_step_cost

    cfg = load_run(args.config, args.cfg_options, data=False, needed=('model', 'train_dataloader'))
    figures = measure_step_cost(cfg, args.batch_size, args.size, args.repeats)
    wall, processor = figures['wall'], figures['processor']
    sizes = ', '.join(map(str, figures['views']))
    print(f'{figures["batch_size"]} images in views of {sizes} px, {figures["dtype"]}, {figures["device"]}')
    print(f'{"":<26}{"wall":>10}{"processor":>12}')
    for name in wall['seconds']:
        print(f'{name:<26}{wall["seconds"][name]:>8.3f} s{processor["seconds"][name]:>10.3f} s')
    for name in RATIOS:
        if wall[name] is not None:
            print(f'{name:<26}{wall[name]:>8.3f}  {processor[name]:>10.3f}')
    write_json(dict(figures, config=args.config), args.out)


if __name__ == '__main__':
    main()
