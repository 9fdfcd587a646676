"""Draw images and their nearest neighbours: ``python tools/visualization/vis_neighbors.py CHECKPOINT``.

Queries are validation images, neighbours come from the bank, both from the config of the first checkpoint. A green
frame marks the query's class, a red frame another class. ``--compare`` draws additional checkpoints beside the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_trained_options, figure_file, trained_options
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw images and their nearest neighbours')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file with --config')
    add_trained_options(parser)
    parser.add_argument(
        '--data', choices=['val', 'test', 'bank'], default='val', help='images to use as queries (default: val)'
    )
    parser.add_argument('--num-queries', type=int, default=8, help='number of queries, evenly spaced (default: 8)')
    parser.add_argument(
        '--num-bank', type=int, default=10000, help='number of bank images, evenly spaced (default: 10000)'
    )
    parser.add_argument('--k', type=int, default=5, help='number of neighbours of a query (default: 5)')
    parser.add_argument(
        '--out', type=figure_file, default='work_dirs/neighbors.png', help='PNG to write (default: %(default)s)'
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmengine.registry import init_default_scope

    from mmssl.config.load import evaluation_dataloader
    from mmssl.converters.trained import load_trained
    from mmssl.datasets.class_numbers import share_classes
    from mmssl.engine.runner import PretrainRunner
    from mmssl.evaluation.extract import extract_chosen
    from mmssl.visualization.neighbours import neighbour_sheet
    from mmssl.visualization.style import save_figure, spread

    counts = {'num-queries': args.num_queries, 'num-bank': args.num_bank, 'k': args.k}
    if min(counts.values()) < 1:
        raise UserError(f'{", ".join(f"--{name} {count}" for name, count in counts.items())}: each must be at least 1')
    features = {}
    for name, options in trained_options(args).items():
        cfg, model = load_trained(**options)
        init_default_scope(cfg.default_scope)
        if not features:
            loaders = (evaluation_dataloader(cfg, data) for data in ('bank', args.data))
            bank, queries = (PretrainRunner.build_dataloader(loader, seed=0) for loader in loaders)
            share_classes(bank.dataset.classes, queries.dataset, f'{args.data}_dataloader.dataset')
            bank_rows = spread(len(bank.dataset), args.num_bank).tolist()
            query_rows = spread(len(queries.dataset), args.num_queries).tolist()
        features[name] = (
            extract_chosen(model, bank, bank_rows, description=name),
            extract_chosen(model, queries, query_rows),
        )
    datasets, picture = (queries.dataset, bank.dataset), model.data_preprocessor.picture
    save_figure(neighbour_sheet(*datasets, features, args.num_queries, args.k, picture), args.out)
    print(f'{len(query_rows)} queries, {len(bank_rows)} images to compare with: {args.out}')


if __name__ == '__main__':
    main()
