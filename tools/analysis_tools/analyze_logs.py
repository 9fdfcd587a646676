"""Plot curves and print times of finished or running trainings, from their ``scalars.json``.

    python tools/analysis_tools/analyze_logs.py plot_curve LOG [LOG ...] --keys loss lr --out curves.png
    python tools/analysis_tools/analyze_logs.py cal_train_time LOG [LOG ...]

A LOG is a ``scalars.json``, or a work directory, whose latest ``scalars.json`` is read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmssl.cli.options import figure_file
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Analyse the logs of trainings')
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='plot logged values over iterations or epochs')
    plot.add_argument('logs', nargs='+', help='scalars.json files or work directories')
    plot.add_argument('--keys', nargs='+', default=['loss'], help='values to plot (default: loss)')
    plot.add_argument('--title', help='title of the figure')
    plot.add_argument('--legend', nargs='+', help='one name per log and key')
    plot.add_argument('--out', type=figure_file, help='image file; without it a window opens')
    times = tasks.add_parser('cal_train_time', help='average time of an iteration, per epoch')
    times.add_argument('logs', nargs='+', help='scalars.json files or work directories')
    times.add_argument('--include-outliers', action='store_true', help='include the first time of every epoch')
    return parser.parse_args(argv)


def plot_curve(args: argparse.Namespace) -> None:
    import matplotlib.pyplot as plt

    from mmssl.visualization.training_logs import draw_curves, read_log

    names = args.legend or [f'{log}: {key}' for log in args.logs for key in args.keys]
    if len(names) != len(args.logs) * len(args.keys):
        raise UserError(f'--legend has {len(names)} names for {len(args.logs)} logs of {len(args.keys)} keys')
    if args.legend and len(set(names)) < len(names):
        raise UserError(f'--legend needs a different name for each curve, got {", ".join(names)}')
    logs = [read_log(path) for path in args.logs]
    if args.out:
        plt.switch_backend('Agg')  # no display needed
    figure, axes = plt.subplots()
    draw_curves(axes, dict(zip(names, [(log, key) for log in logs for key in args.keys])))
    axes.set_title(args.title or '')
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(args.out, dpi=150, bbox_inches='tight')
        print(f'saved {args.out}')
    else:
        plt.show()
    plt.close(figure)


def cal_train_time(args: argparse.Namespace) -> None:
    import numpy as np

    from mmssl.visualization.training_logs import epoch_times, read_log

    for path in args.logs:
        means = epoch_times(read_log(path), args.include_outliers)
        if not means:
            raise UserError(f'{path} has no training times: lower default_hooks.logger.interval')
        slowest, fastest = max(means, key=lambda e: means[e]), min(means, key=lambda e: means[e])
        print(f'{path}')
        print(f'  slowest epoch {slowest}, average time is {means[slowest]:.4f} s/iter')
        print(f'  fastest epoch {fastest}, average time is {means[fastest]:.4f} s/iter')
        print(f'  time std over epochs is {np.std(list(means.values())):.4f}')
        print(f'  average iter time: {np.mean(list(means.values())):.4f} s/iter')


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    {'plot_curve': plot_curve, 'cal_train_time': cal_train_time}[args.task](args)


if __name__ == '__main__':
    main()
