"""Measure what learning from clusters costs: ``clustering.py features CONFIG``, ``kmeans``, or ``codes CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmssl.cli.options import add_config_options, count, load_run, output_file, write_json
from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure features, k-means and codes of methods that use clusters')
    kinds = parser.add_subparsers(dest='kind', required=True)
    features = kinds.add_parser('features', help='extraction of features, beside plain inference')
    add_config_options(features)
    features.add_argument('--batches', type=int, default=8, help='number of batches (default: 8)')
    kmeans = kinds.add_parser('kmeans', help='k-means, beside faiss alone')
    kmeans.add_argument('--rows', type=int, default=50_000, help='number of rows (default: 50000)')
    kmeans.add_argument('--dim', type=int, default=256, help='numbers of a row (default: 256)')
    kmeans.add_argument('--clusters', type=int, default=1000, help='number of clusters (default: 1000)')
    codes = kinds.add_parser('codes', help='codes of SwAV, beside a training step')
    add_config_options(codes)
    codes.add_argument('--batch-size', type=count, help="number of images of a step (default: the config's)")
    codes.add_argument('--size', type=count, help="side of the largest views in pixels (default: the config's)")
    for kind in (features, kmeans, codes):
        kind.add_argument('--repeats', type=int, default=5, help='number of measurements for the medians (default: 5)')
        kind.add_argument('--out', type=output_file, help='JSON file to write the figures to')
    return parser.parse_args(argv)


def print_figures(figures: dict[str, Any], reference: str) -> None:
    facts = (f'{name} {value}' for name, value in figures.items() if name not in ('wall', 'processor'))
    print(', '.join(facts))
    wall, processor = figures['wall'], figures['processor']
    print(f'{"":<26}{"wall":>10}{"processor":>12}')
    for name in wall['seconds']:
        print(f'{name:<26}{wall["seconds"][name]:>8.3f} s{processor["seconds"][name]:>10.3f} s')
    for name in wall['ratio']:
        print(f'{f"{name} / {reference}":<26}{wall["ratio"][name]:>8.4f}  {processor["ratio"][name]:>10.4f}')


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.profiling.clustering_cost import measure_codes, measure_extraction, measure_kmeans

    if args.kind == 'kmeans':
        figures, reference = measure_kmeans(args.rows, args.dim, args.clusters, repeats=args.repeats), 'faiss'
    elif args.kind == 'features':
        cfg = load_run(args.config, args.cfg_options)
        figures, reference = measure_extraction(cfg, args.batches, args.repeats), 'plain'
    else:
        cfg = load_run(args.config, args.cfg_options, data=False)
        figures, reference = measure_codes(cfg, args.batch_size, args.size, args.repeats), 'step'
    print_figures(figures, reference)
    write_json(figures, args.out)


if __name__ == '__main__':
    main()
