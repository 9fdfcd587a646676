"""A wrapper of ``torchrun`` that prints no traceback after a failure: ``python -m mmssl.distributed.torchrun ...``.

torchrun itself prints its own traceback and a table, which hide the message of the failed process.
"""

from __future__ import annotations

import os
import re
import signal
import sys

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def run() -> None:
    """Runs ``torchrun``; exits with the code of the process that failed first, and with 2 after a signal."""
    # Processes that are started again need a new store: in the old one they find the addresses of those that are gone.
    os.environ.setdefault('TORCH_DISABLE_SHARE_RDZV_TCP_STORE', '1')
    try:
        main()
    except DistError as error:
        print(f'error: {_missing_machine(error)}', file=sys.stderr)
        sys.exit(2)
    except (RuntimeError, ValueError) as error:
        if 'EADDRINUSE' in str(error) or 'address already in use' in str(error).lower():
            print('error: the port is in use by another program; give a free port with PORT=NUMBER', file=sys.stderr)
        elif isinstance(error, ValueError):
            print(f'error: {error}', file=sys.stderr)
        else:
            raise
        sys.exit(2)
    except SignalException as error:  # of this process, which has passed it on and waited for the others
        ended = f'{error.sigval.name} ended the processes of this machine'
        print(f'error: {ended}; --resume continues at the last checkpoint', file=sys.stderr)
        sys.exit(2)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        print(f'process {rank} {_ending(failure.exitcode)}', file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


def _ending(code: int) -> str:
    if code >= 0:
        return f'ended with exit code {code}; see its message above'
    reason = ', as the system does if memory runs out' if -code == signal.SIGKILL else ''
    name = signal.Signals(-code).name
    return f'was ended from outside by {name}{reason}; --resume continues at the last checkpoint'


def _missing_machine(error: Exception) -> str:
    """Returns what an error says that ends the wait for other machines."""
    if 'EADDRINUSE' in str(error) or 'address already in use' in str(error).lower():
        return 'the port is in use by another program; give a free port with PORT=NUMBER'
    if joined := re.search(r'(\d+)/(\d+) clients joined', str(error)):
        found = f'{joined[1]} of {joined[2]} machines came in time'
    else:
        found = 'the first machine did not answer in time, or left'
    return (
        f'{found}: start the same command on every machine, each with its NODE_RANK and all with the MASTER_ADDR and '
        'PORT of the first; --resume continues at the last checkpoint'
    )


if __name__ == '__main__':
    run()
