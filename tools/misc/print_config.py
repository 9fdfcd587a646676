"""Print a config with its bases and overrides resolved: ``python tools/misc/print_config.py CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import add_config_options
from mmssl.cli.tool import tool


@tool
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description='Print the whole config as a run would get it')
    add_config_options(parser)
    args = parser.parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.config.load import load_config

    print(load_config(args.config, args.cfg_options).pretty_text)


if __name__ == '__main__':
    main()
