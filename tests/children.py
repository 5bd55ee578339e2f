"""Work in forked children: together, and without privileges."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def in_children(works: list[Callable[[], None]]) -> list[int]:
    """Run functions in forked children, at the same time; return their exit codes."""
    ready, go = os.pipe()
    children = []
    for work in works:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(go)
                os.read(ready, 1)
                work()
                code = 0
            except BaseException:
                traceback.print_exc(file=sys.__stderr__)
            finally:
                os._exit(code)
        children.append(pid)
    os.close(go)
    os.close(ready)
    return [os.waitpid(pid, 0)[1] for pid in children]


def as_nobody_special(work: Callable[[], None]) -> int:
    """Run a function in a child that has no privileges; return its exit code."""

    def unprivileged() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        work()

    return in_children([unprivileged])[0]
