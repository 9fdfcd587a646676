"""Run a suite of downstream protocols: ``python tools/benchmarks/run_suite.py CHECKPOINT --suite NAME``.

Writes ``report.md``, ``results.json`` and ``results.png``. A suite that was stopped continues with the next run when
called again. Exit code 1 means that a protocol failed; the others are still run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError, did_you_mean

ROOT = Path(__file__).resolve().parents[2]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Run downstream protocols on a checkpoint and on random initialisation'
    )
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file')
    parser.add_argument('--suite', required=True, help='a name in configs/benchmarks/suites, or a path')
    parser.add_argument('--data-root', default='data', help='folder of the datasets (default: data)')
    parser.add_argument('--protocols', nargs='+', metavar='NAME', help='protocols of the suite to run (default: all)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], help='default: 0 1 2')
    parser.add_argument('--no-random', action='store_true', help='no runs on random initialisation')
    parser.add_argument('--work-dir', help='folder for runs and results (default: work_dirs/suite_NAME/CHECKPOINT)')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.checkpoints.files import holds_checkpoint
    from mmssl.evaluation.suite import PRETRAINED, RANDOM, Suite, load_suite, report
    from mmssl.visualization.style import save_figure
    from mmssl.visualization.suite_results import plot_suite

    checkpoint = Path(args.checkpoint).resolve()
    if not holds_checkpoint(checkpoint):
        raise UserError(f'checkpoint {args.checkpoint!r} does not exist')
    protocols = load_suite(args.suite, ROOT)
    names = [protocol.name for protocol in protocols]
    for name in args.protocols or []:
        if name not in names:
            raise UserError(f'suite {args.suite!r} has no protocol {name!r}{did_you_mean(name, names)}: {names}')
    protocols = [protocol for protocol in protocols if protocol.name in (args.protocols or names)]
    stem = f'{checkpoint.parent.name}_{checkpoint.stem}'
    work_dir = Path(args.work_dir or f'work_dirs/suite_{Path(args.suite).stem}/{stem}').resolve()
    suite = Suite(protocols, checkpoint, Path(args.data_root).resolve(), work_dir, ROOT)
    seeds = list(dict.fromkeys(args.seeds))  # a seed that is given twice is one run, not two
    results = suite.run(seeds, [PRETRAINED] if args.no_random else [PRETRAINED, RANDOM])

    text = report(protocols, results, dict(checkpoint=args.checkpoint, suite=args.suite, seeds=seeds))
    (work_dir / 'report.md').write_text(text)
    (work_dir / 'results.json').write_text(json.dumps([asdict(result) for result in results], indent=2) + '\n')
    save_figure(plot_suite(protocols, results), work_dir / 'results.png')
    print(text)
    print(f'report.md, results.json and results.png are in {work_dir}')
    sys.exit(1 if any(result.value is None for result in results) else 0)


if __name__ == '__main__':
    main()
