"""A wrapper of ``torchrun`` that prints no traceback after a failure: ``python -m mmssl.distributed.torchrun ...``.

torchrun itself prints its own traceback and a table, which hide the message of the failed process.
"""

from __future__ import annotations

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def run() -> None:
    """Runs ``torchrun``; exits with the code of the process that failed first."""
    try:
        main()
    except (RuntimeError, ValueError) as error:
        if 'EADDRINUSE' in str(error) or 'address already in use' in str(error).lower():
            print('error: the port is in use by another program; give a free port with PORT=NUMBER', file=sys.stderr)
        elif isinstance(error, ValueError):
            print(f'error: {error}', file=sys.stderr)
        else:
            raise
        sys.exit(2)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        print(f'process {rank} ended with exit code {failure.exitcode}; see its message above', file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


if __name__ == '__main__':
    run()
