"""What a disk may hold after a power cut: everything that was flushed, and any part of what was not.

A :class:`Disk` follows the records of a log (``powercut_log``). At any place in it, :meth:`Disk.image` draws one of the
states in which the disk may be if the power fails there:

* A file holds what its last successful flush covered. Of each later change, any block may have come to the disk or
  not, in any of its versions since, and the size may be any that it had since.
* What a failed flush should have covered stays uncertain for ever, later flushes notwithstanding: the system forgot it.
* A directory holds the names that its last flush covered, and any subset of the later changes of names. A rename is one
  change, also between two directories; a link is one as well, and all names of a file show the same content. A
  directory whose name is lost takes its content with it.
* The view of a keystore (LMDB's files and the marker) is garbage. The registry is plain synced LMDB; it is taken as
  replaced at once and durably by each of its commits.
"""

from __future__ import annotations

import os
import stat

BLOCK_SIZES = (16, 64, 256, 512, 1024, 4096)
DATA = "data.mdb"
LOCKS = ("lock.mdb", "lock")
MARKERS = ("marker", "marker.tmp")
VIEW = (DATA, *LOCKS, *MARKERS)
UNFINISHED = {"rebuild", "next"}


class Change:
    """One change of a file since it was last flushed: bytes written, a new size, or room reserved."""

    __slots__ = ("data", "kind", "lost", "offset", "place")

    def __init__(self, place, kind, offset, data=b""):
        self.place = place
        self.kind = kind  # "write" at offset, "cut" to or "reserve" up to offset
        self.offset = offset
        self.data = data
        self.lost = False

    def size_after(self, size):
        if self.kind == "cut":
            return self.offset
        return max(size, self.offset + len(self.data))

    def touches(self, begin, end):
        if self.kind == "write":
            return self.offset < end and begin < self.offset + len(self.data)
        return self.kind == "cut" and self.offset < end

    def apply(self, block, begin):
        """Change the block of a file that begins at ``begin``."""
        if self.kind == "cut":
            keep = max(0, self.offset - begin)
            block[keep:] = bytes(len(block) - keep)
        elif self.kind == "write":
            first, last = max(begin, self.offset), min(begin + len(block), self.offset + len(self.data))
            block[first - begin : last - begin] = self.data[first - self.offset : last - self.offset]


class File:
    """A file: what is on the disk for sure, and what came later."""

    __slots__ = ("durable", "pending")

    def __init__(self, durable=b""):
        self.durable = bytearray(durable)
        self.pending = []

    def flushed(self, place):
        """Take over everything that was written before a place in the log, but for what the system has lost."""
        left = []
        for change in self.pending:
            if change.place > place or change.lost:
                left.append(change)
            else:
                self._settle(change)
                left = [piece for earlier in left for piece in _without(earlier, change)]
        self.pending = left

    def lose(self):
        """Note a failed flush: what is not on the disk now may never come there."""
        for change in self.pending:
            change.lost = change.kind == "write"

    def _settle(self, change):
        size = change.size_after(len(self.durable))
        if size < len(self.durable):
            del self.durable[size:]
        else:
            self.durable.extend(bytes(size - len(self.durable)))
        if change.kind == "write":
            self.durable[change.offset : change.offset + len(change.data)] = change.data

    def image(self, random):
        """Draw a content that the file may have."""
        pending = self.pending
        if not pending:
            return bytes(self.durable)
        sizes = [len(self.durable)]
        for change in pending:
            sizes.append(change.size_after(sizes[-1]))
        chosen = _chooser(random, len(pending))
        block = random.choice(BLOCK_SIZES)
        content = bytearray(self.durable).ljust(max(sizes), b"\0")
        for begin in sorted(self._touched(block, len(content))):
            part = bytearray(content[begin : begin + block])
            for change in pending[: chosen()]:
                if change.touches(begin, begin + block):
                    change.apply(part, begin)
            content[begin : begin + block] = part
        return bytes(content[: sizes[chosen()]])

    def _touched(self, block, size):
        """Return where the blocks begin that any later change touches."""
        touched = set()
        for change in self.pending:
            end = size if change.kind == "cut" else change.offset + len(change.data)
            touched.update(range(change.offset // block * block, end, block))
        return touched


def _chooser(random, count):
    """Return a function that draws how many of the later changes a block, or the size, has seen."""
    mood = random.random()
    if mood < 0.2:
        return lambda: count
    if mood < 0.3:
        return lambda: 0
    if mood < 0.45:
        moment = random.randint(0, count)
        return lambda: moment
    if mood < 0.7:
        return lambda: random.randint(0, count)
    share = random.choice((0.1, 0.5, 0.9))
    return lambda: count if random.random() < share else random.randint(0, count - 1)


def _without(earlier, later):
    """Yield what is left of a lost write after a later change that did come to the disk."""
    if earlier.kind != "write":
        yield earlier
        return
    if later.kind == "reserve":
        yield earlier
        return
    begin, end = earlier.offset, earlier.offset + len(earlier.data)
    first = later.offset
    last = end if later.kind == "cut" else later.offset + len(later.data)
    for low, high in ((begin, min(end, first)), (max(begin, last), end)):
        if low < high:
            piece = Change(earlier.place, "write", low, earlier.data[low - begin : high - begin])
            piece.lost = True
            yield piece


class Folder:
    """A directory: its names now, those on the disk for sure, and the changes in between."""

    __slots__ = ("durable", "names", "pending", "registry")

    def __init__(self):
        self.names = {}
        self.durable = {}
        self.pending = []
        self.registry = None  # the data file, where the directory is a registry


class Naming:
    """One change of names, in one directory or, for a rename, in two: all of it comes to the disk or nothing."""

    __slots__ = ("effects", "place", "requires")

    def __init__(self, place, effects, requires=None):
        self.place = place
        self.effects = effects  # [(folder, name, what it names now or None)]
        self.requires = requires  # the change that brought what is renamed here to its old name


class Disk:
    """A file system below one directory, which itself is always there.

    Args:
        path: the directory as it is now; what it holds is taken as durable.

    """

    def __init__(self, path):
        self._by_inode = {}
        self._flushes = {}
        self._brought = {}  # directory and name -> the pending change that brought what has it
        self._pending = []
        self._place = 0
        self.root = self._load(path)

    def _load(self, path):
        folder = Folder()
        self._by_inode[os.stat(path).st_ino] = folder
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    loaded = self._load(entry.path)
                elif entry.name in VIEW:
                    continue
                else:
                    with open(entry.path, "rb") as file:
                        loaded = self._by_inode[entry.inode()] = File(file.read())
                folder.names[entry.name] = folder.durable[entry.name] = loaded
        data = os.path.join(path, DATA)
        if os.path.basename(path) == "registry" and os.path.exists(data):
            with open(data, "rb") as file:
                folder.registry = file.read()
        return folder

    # -- following the log -------------------------------------------------------------------------------------

    def follow(self, place, record):
        """Take a record of the log into account; those that say nothing about the disk change nothing."""
        handle = getattr(self, f"_on_{record[0].replace(' ', '_')}", None)
        if handle is not None:
            self._place = place
            handle(*record[1:])

    def _on_create(self, directory, name, inode):
        self._on_new(directory, name, inode, File)

    def _on_mkdir(self, directory, name, inode):
        self._on_new(directory, name, inode, Folder)

    def _on_new(self, directory, name, inode, kind):
        folder = self._by_inode.get(directory)
        self._by_inode.pop(inode, None)  # the number may have been that of something that is gone
        if isinstance(folder, Folder) and name not in VIEW:
            made = self._by_inode[inode] = kind()
            self._bring([(folder, name, made)])

    def _on_link(self, directory, name, inode):
        folder, what = self._by_inode.get(directory), self._by_inode.get(inode)
        if isinstance(folder, Folder) and isinstance(what, File):
            self._bring([(folder, name, what)])

    def _on_write(self, inode, offset, data):
        self._change(inode, Change(self._place, "write", offset, data))

    def _on_size(self, inode, size):
        self._change(inode, Change(self._place, "cut", size))

    def _on_reserve(self, inode, size):
        self._change(inode, Change(self._place, "reserve", size))

    def _on_content(self, inode, data):
        self._on_size(inode, 0)
        self._on_write(inode, 0, data)

    def _change(self, inode, change):
        file = self._by_inode.get(inode)
        if isinstance(file, File):
            file.pending.append(change)

    def _on_flush(self, token, inode):
        self._flushes[token] = (self._by_inode.get(inode), self._place)

    def _on_flushed(self, token):
        what, place = self._flushes.pop(token)
        if isinstance(what, File):
            what.flushed(place)
        elif what is not None:
            for naming in [naming for naming in what.pending if naming.place < place]:
                self._settle(naming)

    def _on_flush_failed(self, token):
        what, _ = self._flushes[token]
        if isinstance(what, File):
            what.lose()

    def _on_rename(self, source, old, target, new, inode):
        what, before, after = (self._by_inode.get(number) for number in (inode, source, target))
        if what is None or before is None or after is None or new in VIEW:
            return
        self._bring([(before, old, None), (after, new, what)], self._brought.get((before, old)))

    def _on_remove(self, directory, name):
        folder = self._by_inode.get(directory)
        if isinstance(folder, Folder) and name in folder.names:
            self._bring([(folder, name, None)])

    def _on_registry(self, directory, data):
        folder = self._by_inode.get(directory)
        if isinstance(folder, Folder):
            folder.registry = data

    def _bring(self, effects, requires=None):
        naming = Naming(self._place, effects, requires)
        self._pending.append(naming)
        for folder, name, named in effects:
            folder.pending.append(naming)
            _set(folder.names, name, named)
            _set(self._brought, (folder, name), named and naming)

    def _settle(self, naming):
        """Bring one change of names to the disk for good, and what it cannot be without."""
        if naming not in self._pending:
            return
        if naming.requires is not None:
            self._settle(naming.requires)
        for folder, name, named in naming.effects:
            _set(folder.durable, name, named)
            for earlier in [other for other in folder.pending if other.place < naming.place]:
                earlier.effects = [effect for effect in earlier.effects if effect[:2] != (folder, name)]
        for folder, name, _ in naming.effects:
            if naming in folder.pending:
                folder.pending.remove(naming)
            if self._brought.get((folder, name)) is naming:
                del self._brought[folder, name]
        self._pending.remove(naming)
        naming.requires = None

    # -- drawing -----------------------------------------------------------------------------------------------

    def image(self, random):
        """Draw a state of the disk: nested dicts of bytes, and the view left as it may be."""
        entries = {}
        for naming in self._chosen(random):
            for folder, name, named in naming.effects:
                _set(entries.setdefault(folder, dict(folder.durable)), name, named)
        return self._tree(self.root, entries, random, {})

    def _chosen(self, random):
        if random.random() < 0.25:  # the order in which a file system with a journal brings names to the disk
            chosen = self._pending[: random.randint(0, len(self._pending))]
        else:
            share = random.choice((0.0, 0.2, 0.5, 0.8, 1.0))
            chosen = [naming for naming in self._pending if random.random() < share]
        wanted = set()
        for naming in chosen:
            while naming is not None and naming not in wanted:
                wanted.add(naming)
                naming = naming.requires
        return [naming for naming in self._pending if naming in wanted]

    def _tree(self, folder, entries, random, drawn):
        """Draw what a directory holds; a file with several names is drawn once."""
        tree = {}
        for name, named in entries.get(folder, folder.durable).items():
            if isinstance(named, Folder):
                tree[name] = self._tree(named, entries, random, drawn)
                continue
            if named not in drawn:
                drawn[named] = named.image(random)
            tree[name] = drawn[named]
        if folder.registry is not None:
            tree[DATA] = folder.registry
            tree[LOCKS[0]] = bytes(8192)
        for unfinished in UNFINISHED & tree.keys():
            tree[unfinished][DATA] = _garbage(random)
        if any(name.startswith("journal-") or name == "base" for name in tree) and random.random() < 0.7:
            tree[DATA] = _garbage(random)
            tree[MARKERS[0]] = None  # written with the numbers of the data file, under the old boot
            if random.random() < 0.5:
                tree[LOCKS[0]] = random.randbytes(random.choice((0, 100, 8192)))
        return tree


def _set(names, name, named):
    if named is None:
        names.pop(name, None)
    else:
        names[name] = named


def _garbage(random):
    return random.randbytes(64) * random.choice((0, 1, 100, 256))


def write_tree(tree, path, boot):
    """Write an image below a path; markers vouch, under another boot, for the garbage beside them."""
    os.mkdir(path, 0o700)
    for name, content in tree.items():
        place = os.path.join(path, name)
        if isinstance(content, dict):
            write_tree(content, place, boot)
            continue
        if content is None:
            status = os.stat(os.path.join(path, DATA))
            content = f"{boot} {status.st_dev} {status.st_ino}\n".encode()
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, content)
        os.close(descriptor)


def remove_tree(path):
    """Remove a directory and all that it holds, if it is there."""
    if not os.path.lexists(path):
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(path)
