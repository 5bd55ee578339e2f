"""What the processes did whose power is cut (``powercut``), and what may be left of it."""

from __future__ import annotations

from collections import Counter

from pronto_lmdb.identity import OFF


class Moment:
    """One revision of a keystore: what it held, and since when and until when a disk may say so."""

    __slots__ = ("attempted", "content", "ended", "published", "revision")

    def __init__(self, revision, content, attempted, published=None):
        self.revision = revision
        self.content = content
        self.attempted = attempted
        self.published = published
        self.ended = None  # refused, or superseded by another time line


class Line:
    """What is known of one keystore: its revisions, and which of them were promised when."""

    def __init__(self, moment):
        self.moments = [moment]
        self.head = moment
        self.floors = []  # (place, revision)
        self.had_off = False
        self.doomed = None  # when somebody began to remove it for good

    def floor(self, place):
        return max((revision for at, revision in self.floors if at <= place), default=None)

    def last_published(self, place):
        published = [moment for moment in self.moments if moment.published is not None]
        return max((moment.revision for moment in published if moment.published <= place), default=0)


class Story:
    """What the processes did and were told, as the log has it.

    Args:
        known: content and revision of each keystore at the beginning.

    """

    def __init__(self, known):
        self.lines = {keystore: Line(Moment(revision, content, 0, 0)) for keystore, revision, content in known}
        for keystore, revision, _ in known:
            self.lines[keystore].floors.append((0, revision))
        self.problems = []
        self.answers = []
        self.refusals = []
        self.counts = Counter()
        self._open = {}  # operation -> [(line, moments)] not published
        self._begun = {}  # operation -> place
        self._texts = {}

    def follow(self, place, record):
        handle = getattr(self, f"_on_{record[0].replace(' ', '_')}", None)
        if handle is not None:
            handle(place, *record[1:])
        self.counts[record[0] if record[0] != "injected" else record[2]] += 1

    def _on_begin(self, place, pid, number, text):
        self._begun[pid, number] = place
        self._texts[pid, number] = text
        self._open[pid, number] = []

    def _on_born(self, place, keystore, revision, entries):
        self.lines[keystore] = Line(Moment(revision, dict(entries), place, place))

    def _on_doomed(self, place, keystore):
        self.lines[keystore].doomed = place

    def _on_attempt(self, place, pid, number, keystore, base, frames):
        line = self.lines[keystore]
        if line.head.revision != base:
            self.problems.append(f"{place}: writes revision {frames[0][0]} on {base}, after {line.head.revision}")
        content, group = line.head.content, []
        for revision, changes in frames:
            content = dict(content)
            for key, value in changes:
                if value is None:
                    content.pop(key, None)
                else:
                    content[key] = value
            group.append(Moment(revision, content, place))
        line.moments.extend(group)
        self._open.setdefault((pid, number), []).append((line, group))

    def _on_publish(self, place, pid, number, keystore, revision, level):
        attempts = self._open[pid, number]
        line, group = attempts.pop()
        assert line is self.lines[keystore]
        assert group[-1].revision == revision
        for moment in group:
            moment.published = place
        line.head = group[-1]
        line.had_off |= level == OFF

    def _on_ack(self, place, pid, number, floors, synced):
        for keystore, revision in floors.items():
            self.lines[keystore].floors.append((place, revision))
        if synced in self.lines:
            line = self.lines[synced]
            line.floors.append((place, line.last_published(self._begun[pid, number])))
        self._end(place, pid, number)

    def _on_refused(self, place, pid, number, text):
        self.refusals.append(place)
        self._end(place, pid, number)

    def _on_unknown(self, place, pid, number, text):
        self.refusals.append(place)

    def _end(self, place, pid, number):
        self.answers.append(place)
        for _, group in self._open.pop((pid, number), ()):
            for moment in group:
                moment.ended = place

    def _on_recovered(self, place, keystore, revision, content):
        """Take over what a recovery in this boot, or after the power cut, found."""
        line, content = self.lines.get(keystore), dict(content)
        if line is None or (line.head.revision == revision and line.head.content == content):
            return
        if revision < line.head.revision and not line.had_off:
            self.problems.append(f"{place}: recovery fell back from {line.head.revision} to {revision}")
        # Several processes may have died at one revision.
        found = [moment for moment in line.moments if moment.revision == revision and moment.ended is None]
        found = [moment for moment in found if moment.content == content]
        if not found:
            self.problems.append(f"{place}: recovery found at revision {revision} what nobody wrote")
            return
        line.head = found[-1]
        line.head.published = line.head.published or place
        for moment in line.moments:
            if moment.revision > revision and moment.published is not None:
                moment.ended = place

    def _on_error(self, place, pid, number, text):
        self.problems.append(f"{place}: process {pid}, {self._texts.get((pid, number))}: {text}")

    def judge(self, place, keystore, revision, content):
        """Return what is wrong with a keystore as it came out of a power cut at a place; ``None`` if nothing."""
        line = self.lines.get(keystore)
        if line is None:
            return f"{keystore} was never made"
        floor = line.floor(place)
        if floor is not None and revision < floor:
            return f"LOST: {keystore} is at revision {revision}, {floor} was promised"
        possible = [
            moment
            for moment in line.moments
            if moment.revision == revision
            and moment.attempted <= place
            and (moment.ended is None or moment.ended > place)
        ]
        if revision == floor:
            possible = [moment for moment in possible if moment.published is not None]
        if not possible:
            return f"CAME BACK: {keystore} is at revision {revision}, which was refused or never written"
        if not any(moment.content == content for moment in possible):
            return f"MIXED: {keystore} at revision {revision}: {difference(possible[-1].content, content)}"
        return None

    def expected(self, place):
        """Return the keystores that must be there after a power cut at a place."""
        return {
            keystore
            for keystore, line in self.lines.items()
            if line.floor(place) is not None and (line.doomed is None or line.doomed > place)
        }


def difference(expected, found):
    """Say in which keys two states differ."""
    keys = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    return f"differs in {keys[:6]}"
