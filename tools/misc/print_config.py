"""Print a config with its bases and overrides resolved: ``python tools/misc/print_config.py CONFIG``.

Of a config with stages it prints the config of each stage.
"""

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

    cfg = load_config(args.config, args.cfg_options)
    if 'stages' not in cfg:
        print(cfg.pretty_text)
        return
    from mmssl.engine.stages import read_stages

    for stage in read_stages(args.config, args.cfg_options):
        print(f'# stage {stage.name}')
        for key, artefact in stage.takes.items():
            print(f'# {key} becomes the file of {artefact}')
        print(stage.config.pretty_text)


if __name__ == '__main__':
    main()
