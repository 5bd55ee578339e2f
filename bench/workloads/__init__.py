"""The workloads, in the order of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.workloads import (
    addresses,
    backup,
    checkpoints,
    conversation,
    db_bench,
    disk,
    disk_use,
    fleet,
    group_commit,
    json_lines,
    micro,
    migration,
    neighbour,
    sizes,
    startup,
    ycsb,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.harness import Run

WORKLOADS: dict[str, Callable[[Run], None]] = {
    module.NAME: module.run
    for module in (
        disk,
        micro,
        startup,
        json_lines,
        fleet,
        neighbour,
        group_commit,
        conversation,
        addresses,
        db_bench,
        ycsb,
        sizes,
        disk_use,
        checkpoints,
        migration,
        backup,
    )
}
