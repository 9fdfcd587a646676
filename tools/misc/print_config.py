"""Print a config with its bases and overrides resolved: ``python tools/misc/print_config.py CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.options import CfgOptions
from mmssl.cli.tool import tool
from mmssl.config.load import load_config


@tool
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description='Print the whole config as a run would get it')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='settings that override the config'
    )
    args = parser.parse_args(argv)
    print(load_config(args.config, args.cfg_options).pretty_text)


if __name__ == '__main__':
    main()
