"""Evaluate the embeddings, classifier, detector or segmenter of a checkpoint: ``tools/test.py CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import mmssl
from mmssl.cli.options import add_run_options, output_file, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint on the test set of a config')
    parser.add_argument('config', help='config file, or the name of a recipe')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file')
    parser.add_argument('--out', type=output_file, help='write the results to this .json file')
    parser.add_argument('--show-dir', metavar='FOLDER', help='write pictures of up to 200 predictions there')
    add_run_options(parser)
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    results = mmssl.evaluate(
        args.config,
        args.checkpoint,
        args.work_dir,
        cfg_options=args.cfg_options,
        show_dir=args.show_dir,
        launcher=args.launcher,
    )
    from mmssl.distributed.collectives import rank

    if rank() == 0:
        for name, value in results.items():
            print(f'{name}: {value:.4f}')
        write_json(results, args.out)
    return results


if __name__ == '__main__':
    main()
