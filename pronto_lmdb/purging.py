"""Removing deleted addresses for good: each leaves the trash by one rename before anything in it is removed.

So nothing half removed lies in the trash, whatever happens. What was put aside keeps its directory, empty in the end,
until the catalog has forgotten it: by that whoever comes next knows what is left to do.
"""

from __future__ import annotations

import os

from pronto_lmdb.files import remove_tree, sync_directory
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pronto_lmdb.commit import Commit
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.places import Places
    from pronto_lmdb.registry import Registry, Trashed

_PREFIX = "purged-"


def is_purged(path: str) -> bool:
    """Tell whether this is a deleted address that was put aside to be removed."""
    return os.path.basename(path).startswith(_PREFIX)


class Purging:
    """Removes deleted addresses. The lock of the life cycle is held.

    Args:
        layout: where things are in the store.
        registry: the catalog of the store.
        places: what lies outside the root.

    """

    def __init__(self, layout: Layout, registry: Registry, places: Places) -> None:
        self._layout = layout
        self._registry = registry
        self._places = places

    def purge(self, doomed: Iterable[Trashed]) -> None:
        """Remove deleted addresses, with their entries in the catalog.

        Raises:
            ReadOnlyError, StoreFullError: where the system refuses.

        """
        removed = {item.trash_id: self._remove(item) for item in doomed}
        if removed:
            self._forget(removed)

    def finish(self, aside: str) -> None:
        """Remove what was put aside by somebody who did not come to the end."""
        _empty(aside)
        self._forget({os.path.basename(aside).removeprefix(_PREFIX): aside})

    def _remove(self, item: Trashed) -> str:
        """Remove what an address holds; return the directory that may be left of it, to be removed at last."""
        aside = os.path.join(self._layout.pending, _PREFIX + item.trash_id)
        if self._put_aside(item.path, aside):
            _empty(aside)
        else:
            remove_tree(item.path)
            if os.path.isdir(parent := os.path.dirname(item.path)):
                sync_directory(parent)  # the catalog must not forget what a power loss brings back
        self._places.forget_deleted(item.trash_id)
        return aside

    def _put_aside(self, path: str, aside: str) -> bool:
        if not self._layout.is_inside(path) or not os.path.isdir(path):
            return False  # a rename cannot cross file systems
        try:
            os.rename(path, aside)
        except OSError:  # a full disk may refuse even this
            return False
        sync_directory(self._layout.pending)
        return True

    def _forget(self, removed: dict[str, str]) -> None:
        def forget(commit: Commit) -> None:
            for trash_id in removed:
                self._registry.remove_trash_in(commit, trash_id)

        self._registry.change(forget)
        for aside in removed.values():
            remove_tree(aside)


def _empty(directory: str) -> None:
    try:
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if os.path.isdir(path) and not os.path.islink(path):
                remove_tree(path)
            else:
                os.unlink(path)
    except OSError as error:
        raise translated(error, directory) from error
