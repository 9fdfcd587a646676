"""torchrun whose last word is that of the process that failed: ``python -m mmssl.utils.torchrun ...``.

torchrun itself ends with a traceback of its own and a table, which bury the message that the process has printed.
"""

from __future__ import annotations

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def run() -> None:
    """Starts the processes; exits with the code of the one that failed first."""
    try:
        main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        print(f'process {rank} ended with exit code {failure.exitcode}; its message is above', file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


if __name__ == '__main__':
    run()
