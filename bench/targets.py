"""What Pronto promises: the ratios that must hold side by side in one run, and a few plain limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.results import Result, Row, speed

MISSED = "missed"


@dataclass(frozen=True)
class Point:
    """One row of a result."""

    workload: str
    case: str
    contender: str
    parameters: dict[str, int] = field(default_factory=dict)

    def row(self, result: Result) -> Row | None:
        """Return the row, if it was measured."""
        return result.find(self.workload, self.case, self.contender, **self.parameters)

    def by(self, contender: str) -> Point:
        """Return the same point for another contender."""
        return Point(self.workload, self.case, contender, self.parameters)


@dataclass(frozen=True)
class Target:
    """``ours`` must be at least ``factor`` times as fast as ``theirs``."""

    path: str
    ours: Point
    theirs: Point
    factor: float

    @property
    def demand(self) -> str:
        """The target in words."""
        return f"at least {self.factor:g} x {self.theirs.contender}"

    def measured(self, result: Result) -> float | None:
        """Return the ratio, or ``None`` where either was not measured."""
        ours, theirs = self.ours.row(result), self.theirs.row(result)
        return speed(ours, theirs) if ours and theirs else None

    def shown(self, measured: float) -> str:
        """Return the measured figure as a table shows it."""
        return f"{measured:.2f} x"

    def met(self, measured: float) -> bool:
        """Tell whether it holds, as exactly as it is shown."""
        return round(measured, 2) >= self.factor


@dataclass(frozen=True)
class Goal(Target):
    """A target that is wished for and not promised."""

    @property
    def demand(self) -> str:
        """The goal in words."""
        return f"goal: {self.factor:g} x {self.theirs.contender}"


@dataclass(frozen=True)
class MeanGoal(Goal):
    """A goal for the mean latency: the median knows nothing of an engine's few slow operations, the throughput does."""

    @property
    def demand(self) -> str:
        """The goal in words."""
        return f"{super().demand}, by the mean"

    def measured(self, result: Result) -> float | None:
        """Return the ratio of the means, or ``None`` where either was not measured."""
        ours, theirs = self.ours.row(result), self.theirs.row(result)
        means = [row.percentiles.get("mean") for row in (ours, theirs) if row]
        return means[1] / means[0] if len(means) == 2 and means[0] and means[1] else None


@dataclass(frozen=True)
class ByHand(Target):
    """No target: what the commit path reaches where it is written by hand, with everything left out that makes it safe.

    A target above it is out of reach for this design.
    """

    factor: float = 0.0

    @property
    def demand(self) -> str:
        """What the figure is."""
        return f"{self.ours.contender} against {self.theirs.contender}"


@dataclass(frozen=True)
class Limit:
    """A figure must be at most ``bound``, in the unit of its row."""

    path: str
    ours: Point
    bound: float
    unit: str

    @property
    def demand(self) -> str:
        """The limit in words."""
        return f"at most {self.bound:g} {self.unit}"

    def measured(self, result: Result) -> float | None:
        """Return the figure, or ``None`` where it was not measured."""
        row = self.ours.row(result)
        return None if row is None else row.figure

    def shown(self, measured: float) -> str:
        """Return the measured figure as a table shows it."""
        return f"{measured:.3g} {self.unit}"

    def met(self, measured: float) -> bool:
        """Tell whether it holds."""
        return measured <= self.bound


@dataclass(frozen=True)
class Floor(Limit):
    """A figure must be at least ``bound``, in the unit of its row."""

    @property
    def demand(self) -> str:
        """The floor in words."""
        return f"at least {self.bound:,.0f} {self.unit}"

    def shown(self, measured: float) -> str:
        """Return the measured figure as a table shows it."""
        return f"{measured:,.0f} {self.unit}"

    def met(self, measured: float) -> bool:
        """Tell whether it holds."""
        return measured >= self.bound


@dataclass(frozen=True)
class Slowdown(Target):
    """``ours`` must take at most ``factor`` times as long as ``theirs``."""

    @property
    def demand(self) -> str:
        """The target in words."""
        return f"at most {self.factor:g} x {self._basis}"

    @property
    def _basis(self) -> str:
        return "alone" if self.ours.contender == self.theirs.contender else self.theirs.case

    def measured(self, result: Result) -> float | None:
        """Return the ratio of the times."""
        ratio = super().measured(result)
        return None if ratio is None else 1 / ratio

    def met(self, measured: float) -> bool:
        """Tell whether it holds, as exactly as it is shown."""
        return round(measured, 2) <= self.factor


@dataclass(frozen=True)
class Share(Slowdown):
    """``ours`` must take at most a part of the time that another case of the same contender takes."""

    @property
    def _basis(self) -> str:
        return self.theirs.case


@dataclass(frozen=True)
class OwnSlowdown(Slowdown):
    """A slowdown of which the share is taken out that another contender suffers as well.

    Where there are more agents than cores, everybody waits for a core and finds cold caches now and then: an agent
    without storage, and one that reads LMDB by hand.
    """

    idle: str

    @property
    def demand(self) -> str:
        """The target in words."""
        return f"{super().demand}, beyond that of {self.idle}"

    def measured(self, result: Result) -> float | None:
        """Return the ratio of the slowdowns."""
        ours = super().measured(result)
        theirs = Slowdown("", self.ours.by(self.idle), self.theirs.by(self.idle), self.factor).measured(result)
        return ours / theirs if ours and theirs else None


def verdict(target: Target | Limit, measured: float) -> str:
    """Return what a measured figure means: ``met``, ``missed``, ``not reached`` for a goal, ``by hand`` for neither."""
    if isinstance(target, ByHand):
        return "by hand"
    if target.met(measured):
        return "met"
    return "not reached" if isinstance(target, Goal) else MISSED


def _against(path: str, ours: Point, factors: dict[str, float]) -> list[Target]:
    return [Target(path, ours, ours.by(contender), factor) for contender, factor in factors.items()]


def _by_hand(path: str, ours: Point, contender: str) -> ByHand:
    level = ours.contender.rpartition("-")[2]
    return ByHand(path, ours.by(f"bare-{level}"), ours.by(contender))


def _full(workload: str, case: str, **parameters: int) -> Point:
    return Point(workload, case, "pronto-full", parameters)


_RELAXED = Point("micro", "put, not waiting for the disk", "pronto-normal")
_CHECKPOINTED = Point("checkpoints", "put while checkpoints happen, relaxed", "pronto-normal", {"megabytes": 1})
_LONE = _full("micro", "put, durable")
_FLEET = "own address each"
_OWN = _full("fleet", f"{_FLEET}, durable", processes=16)
_SHARED = _full("fleet", "one address, durable", processes=8)
_PYTHON = Point("start-up", "bare interpreter", "python")
_QUICK_COMMANDS = ("get", "set", "del", "exists", "incr", "ttl", "keys", "scan")
_OTHER_COMMANDS = (
    "addresses", "stats", "projects", "namespaces", "nss", "create-cache", "expire", "persist", "sweep", "use",
    "cursor list", "address info", "config list", "check", "completion", "version", "help",
)  # fmt: skip
_MOST_ADDRESSES = 100_000
_BESIDE = "p99 of a get beside 8 flat-out writers"
_FIRST_BACKUP = _full("backup", "first backup", addresses=10_000)
_ALONE = _full("neighbour", "get, p99", neighbours=0)

TARGETS: list[Target | Limit] = [
    *_against(
        "get",
        _full("micro", "get"),
        {"raw-full": 0.80, "sqlite-full": 2, "diskcache-full": 4, "rocksdict-full": 0.95, "plyvel-full": 0.95},
    ),
    *_against("lone durable put", _LONE, {"raw-full": 1.2}),
    Goal("lone durable put", _LONE, _LONE.by("sqlite-full"), 1),
    *_against(
        "update of 10,000 items, durable",
        _full("micro", "update of 10,000, durable"),
        {"raw-full": 0.60, "sqlite-full": 1.3},
    ),
    *_against("put at `normal`", _RELAXED, {"sqlite-normal": 0.9}),
    Goal("put at `normal`", _RELAXED, _RELAXED.by("sqlite-normal"), 1.5),
    MeanGoal("put at `normal`", _RELAXED, _RELAXED.by("sqlite-normal"), 1.5),
    MeanGoal("put at `normal`, both checkpointing", _CHECKPOINTED, _CHECKPOINTED.by("sqlite-normal"), 1.5),
    _by_hand("put at `normal`", _RELAXED, "sqlite-normal"),
    *_against("put at `off`", _RELAXED.by("pronto-off"), {"raw-off": 0.70}),
    _by_hand("put at `off`", _RELAXED.by("pronto-off"), "raw-off"),
    *_against("scan with values", _full("micro", "scan with values"), {"raw-full": 0.70}),
    *_against("scan of keys", _full("micro", "scan of keys"), {"raw-full": 0.70}),
    *_against("16 processes, own address each, durable", _OWN, {"legacy-full": 5}),
    _by_hand("16 processes, own address each, durable", _OWN, "legacy-full"),
    *_against(
        "16 processes, own address each, `normal`",
        Point("fleet", f"{_FLEET}, relaxed", "pronto-normal", {"processes": 16}),
        {"legacy-normal": 8},
    ),
    *_against("8 processes on one address, durable", _SHARED, {"raw-full": 2, "sqlite-full": 1.7}),
    *(_by_hand("8 processes on one address, durable", _SHARED, contender) for contender in ("raw-full", "sqlite-full")),
    *_against("32 threads on one address", _full("group commit", "threads, durable", threads=32), {"raw-full": 4}),
    *_against(
        "256 asyncio tasks on one address",
        _full("group commit", "asyncio tasks, durable", tasks=256),
        {"raw-full": 15},
    ),
    Floor("`pronto import`", _full("json lines", "import"), 150_000, "rows/s"),
    *_against("`pronto import`", _full("json lines", "import"), {"raw-full": 1}),
    Floor("`pronto export`", _full("json lines", "export"), 150_000, "rows/s"),
    *_against("`pronto export`", _full("json lines", "export"), {"raw-full": 1}),
    Floor("`pronto batch`", _full("json lines", "batch"), 30_000, "rows/s"),
    Slowdown(_BESIDE, _full("neighbour", "get, p99", neighbours=8), _ALONE, 1.5),
    *(
        OwnSlowdown(_BESIDE, _full("neighbour", "get, p99", neighbours=8), _ALONE, 1.5, idle)
        for idle in ("memory-none", "raw-full")
    ),
    Limit("100,000 addresses: first touch", _full("addresses", "first touch", addresses=_MOST_ADDRESSES), 300, "us"),
    Limit("100,000 addresses: create", _full("addresses", "create", addresses=_MOST_ADDRESSES), 1000, "us"),
    Limit(
        "100,000 addresses: memory growth",
        _full("addresses", "memory growth after 1000 touches", addresses=_MOST_ADDRESSES),
        50,
        "MB",
    ),
    Limit("100,000 addresses: list", _full("addresses", "list all", addresses=_MOST_ADDRESSES), 1, "s"),
    *(
        Slowdown(f"`pronto {command}` from a shell", Point("start-up", command, "pronto"), _PYTHON, 3)
        for command in _QUICK_COMMANDS
    ),
    *(
        Slowdown(f"`pronto {command}` from a shell", Point("start-up", command, "pronto"), _PYTHON, 20)
        for command in _OTHER_COMMANDS
    ),
    Slowdown(
        "10,000 addresses: hot backup",
        _FIRST_BACKUP,
        Point("backup", "cp and sync of the addresses", "disk", {"addresses": 10_000}),
        2,
    ),
    Share(
        "10,000 addresses: a second backup, 1 % changed",
        _full("backup", "second backup, 1 % changed", addresses=10_000),
        _FIRST_BACKUP,
        0.05,
    ),
]
