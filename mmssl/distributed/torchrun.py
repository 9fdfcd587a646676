"""torchrun whose last word is that of the process that failed: ``python -m mmssl.distributed.torchrun ...``.

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
    except (RuntimeError, ValueError) as error:
        if 'EADDRINUSE' in str(error) or 'address already in use' in str(error).lower():
            print('error: the port is in use by another program; name a free one by PORT=NUMBER', file=sys.stderr)
        elif isinstance(error, ValueError):
            print(f'error: {error}', file=sys.stderr)
        else:
            raise
        sys.exit(2)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        print(f'process {rank} ended with exit code {failure.exitcode}; its message is above', file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


if __name__ == '__main__':
    run()
