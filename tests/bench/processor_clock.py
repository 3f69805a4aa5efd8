"""The processor time of a process as a clock: on a machine that others use as well it shows what an idle one would.

Only for a process that computes on one thread; what it waits for is not in it.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import psutil

_SCHEDULED = 2  # CPUCLOCK_SCHED, <linux/posix-timers.h>: nanoseconds that the threads of a process have run


def processor_clock(pid: int) -> Callable[[], float]:
    """Seconds. To the nanosecond on Linux, elsewhere as finely as the system counts."""
    process = psutil.Process(pid)
    clock = (~pid << 3) | _SCHEDULED
    fine = platform.system() == "Linux"
    return lambda: time.clock_gettime(clock) if fine else float(sum(process.cpu_times()[:2]))
