"""What scripts for the old program rely on, as far as it is kept: the cases of docs/from-prontodb.md, by number."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import pronto_lmdb

DOCUMENT = Path(pronto_lmdb.__file__).parents[1] / "docs" / "from-prontodb.md"
FAMILIES = {"K": 25, "A": 11, "T": 8, "D": 3, "P": 11, "C": 14, "U": 26, "M": 10, "X": 14, "L": 20}

# Lines, each with its exit code and, where it prints something, what; `wait` lets seconds pass, `<<< TEXT` pipes.
CASES = {
    "K1": "set -p p1 -n n1 k v; get -p p1 -n n1 k -> v",
    "K2": "set -p p1 -n n1 k v; del -p p1 -n n1 k; get -p p1 -n n1 k =2",
    "K3": "set p2.n2.a1 v1; set p2.n2.a2 v2; set p2.n2.b1 v3; keys -p p2 -n n2 -> p2.n2.a1 p2.n2.a2 p2.n2.b1",
    "K4": "set p2.n2.a1 v1; set p2.n2.a2 v2; set p2.n2.b1 v3; keys -p p2 -n n2 a -> p2.n2.a1 p2.n2.a2",
    "K5": "set p2.n2.a1 v1; set p2.n2.b1 v3; scan -p p2 -n n2 -> p2.n2.a1=v1 p2.n2.b1=v3",
    "K6": "set p.n.k v; get p.n.k -> v; del p.n.k; get p.n.k =2",
    "K7": "get missing.key =2",
    "K8": "set p.n.k -p a -n b v; get p.n.k -p a -n b -> v",
    "K9": "set p.n.k__prod x; get p.n.k__prod -> x; get p.n.k__dev =2; get p.n.k =2; set p.n.k__dev y; "
    "get p.n.k__prod -> x; del p.n.k; get p.n.k__dev -> y",
    "K10": "set app.config.host h; set app.config.port p; set app.cache.x y; "
    "keys -p app -n config -> app.config.host app.config.port",
    "K11": "set p.n.k v; get -p p -n n k -> v",
    "K13": "set p.n.config_a 1; set p.n.other 2; keys -p p -n n config -> p.n.config_a",
    "K14": "set p.n.a 1; set p.n.b 2; keys p.n -> p.n.a p.n.b; scan p.n -> p.n.a=1 p.n.b=2; ls p.n -> p.n.a=1 p.n.b=2",
    "K16": "set test1 1; set test2 2; set other 3; keys test -> test1 test2",
    "K17": "get nothing =2; get -p nothing -n n k =2",
    "K18": "set p.n.a 1; set p.n.b 2; del p.n.a; get p.n.a =2; keys -p p -n n -> p.n.b",
    "K19": "get nonexistent.project.key =2",
    "K20": "set myapp.prod.db.host v; get myapp.prod.db.host -> v; get -p myapp -n prod db.host -> v",
    "K21": "; ".join([f"set p.n.k{number} v{number}" for number in range(100)])
    + "; "
    + "; ".join([f"get p.n.k{number} -> v{number}" for number in range(100)]),
    "K22": """set --json k '{"b":1,"a":[2]}'; get --json k -> '{"b": 1, "a": [2]}'""",
    "A8": "--ns-delim | set kb|recipes|g v; --ns-delim | get kb|recipes|g -> v; get kb.recipes.g -> v; "
    "set --ns-delim | kb|recipes|h w; keys --ns-delim | kb -> kb|recipes|g kb|recipes|h",
    "A10": "set .invalid..key v =1",
    "A11": "set '' v =1",
    "T1": "create-cache p3.n3 1; set p3.n3.k v; get p3.n3.k -> v; wait 1.2; get p3.n3.k =2",
    "T3": "create-cache sessions.cache 60; set sessions.cache.k v; get sessions.cache.k -> v",
    "T4": "create-cache p.n 60; set p.n.k v --ttl 10; ttl p.n.k -> 10; wait 11; get p.n.k =2",
    "T5": "create-cache p.n timeout=2; set p.n.k v; wait 3; get p.n.k =2",
    "D1": "set app.config.a 1; set app.cache.b 2; projects -> app; namespaces -p app -> cache config; "
    "nss -> app.cache app.config",
    "D2": "projects ->",
    "P1": "-c dev set a.b.c 1; -c staging set a.b.c 2; -c prod set a.b.c 3; -c dev del a.b.c; -c dev get a.b.c =2; "
    "-c staging get a.b.c -> 2; -c prod get a.b.c -> 3",
    "P2": "; ".join(
        f"-c {name} set k {name}; -c {name} get k -> {name}"
        for name in ("a", "123numbers", "with.dots", "with-dashes", "with_underscores", "MixedCase", "x" * 64)
    ),
    "P3": "-c dev set app.db.host d; -c test set app.db.host t; -c dev get app.db.host -> d; "
    "-c test get app.db.host -> t",
    "P10": "-c test set a.b.c v; -c staging get a.b.c =2; -c test get a.b.c -> v",
    "C7": "-u user@company.com set k v; -u user@company.com get k -> v; get k =2",
    "C10": "use alice.staging; set k v; use -> alice.staging; get k -> v",
    "C13": "use default.staging; set k v; -c staging get k -> v",
    "U4": "-u alice -c a set k 1; -u alice -c b set k 1; -u bob -c c set k 1; cursor list -u alice -> a b; "
    "cursor list -u bob -> c; cursor list -u david ->",
    "U5": "-u alice -c shared set k 1; -u bob -c shared set k 2; cursor delete shared -u alice; "
    "-u bob -c shared get k -> 2; cursor delete shared -u alice =1",
    "U6": "set k 1; -u alice set k 2; cursor list -> default; cursor list -u alice -> default; get k -> 1",
    "U8": "-u alice -c dev set k 1; cursor delete dev -u bob =1; -u bob -c dev get k =2; -u alice -c dev get k -> 1",
    "U11": "cursor delete nonexistent =1",
    "U13": "-c one set k 1; -c two set k 2; cursor list -> one two; -c one get k -> 1; cursor delete one; "
    "cursor list -> two; -c one get k =2",
    "U14": "-u alice -c dev set user.name A; -u bob -c dev set user.name B; -u alice -c dev get user.name -> A; "
    "-u bob -c dev get user.name -> B",
    "U15": "-c staging set test.key v; get test.key =2",
    "U16": "-u alice -c dev set user.name A; -u bob -c dev get user.name =2",
    "U17": "-c nonexistent get any.key =2",
    "U18": "-u test_user123 cursor list ->",
    "U24": "-c app-dev set k 1; -c with.dots set k 2; cursor list -> app-dev with.dots",
    "X2": "set test.pipe.normal <<< content; get test.pipe.normal -> content",
    "X6": "set invalid.large <<< " + "x" * 10_000 + "; get invalid.large -> " + "x" * 10_000,
    "L14": "nonexistent =64; gte k =64",
    "L15": "set =64",
    "L16": "help =0; --help =0; -h =0; get -h =0; nonexistent =64; set =64; get =64",
}


def steps(script):
    """Return (words, standard input, exit code, what is printed) for each line of a case."""
    for line in script.split("; "):
        line, printed, expected = (*line.partition(" ->"),)[0], " ->" in line, line.partition(" ->")[2]
        line, _, code = line.partition(" =") if re.search(r" =\d+$", line) else (line, "", "0")
        line, _, piped = line.partition(" <<< ")
        yield line.replace("|", r"\|"), piped or None, int(code), shlex.split(expected) if printed else None


@pytest.mark.parametrize("case", CASES)
def test_kept(clock, pronto, case):
    for line, piped, code, printed in steps(CASES[case]):
        words = shlex.split(line)
        if words[0] == "wait":
            clock.advance(float(words[1]))
            continue
        done = pronto(*words, stdin=piped)
        assert (words, done.code) == (words, code)
        if printed is not None:
            assert done.lines == printed
        elif not {"help", "--help", "-h"} & set(words):
            assert done.out == b""


def test_x1_piped_content_that_is_refused_is_kept_and_the_message_says_where(clock, pronto, ok):
    done = pronto("set", "invalid...address", stdin="a day's work\n")
    (key,) = re.findall(r"pipe\.cache\.\d+_[0-9a-f]{8}\b", done.err)
    assert (done.code, ok("get", key, "--raw").text) == (1, "a day's work\n")


def test_x4_two_contents_are_kept_apart(pronto, ok):
    for content in ("one", "two"):
        pronto("set", "bad..address", stdin=content)
    assert sorted(line.partition("=")[2] for line in ok("scan", "pipe.cache.").lines) == ["one", "two"]


def test_x5_special_characters_are_kept(pronto, ok):
    done = pronto("set", r"bad/address\with..special///chars", stdin="special: é ✓ \t")
    (key,) = re.findall(r"pipe\.cache\.\w+", done.err)
    assert ok("get", key, "--raw").text == "special: é ✓ \t"


def test_x7_text_of_many_lines_comes_back_as_it_was(pronto, ok):
    pronto("set", "bad..multiline", stdin="première\n日本\n")
    assert ok("scan", "pipe.cache.").text.partition("=")[2] == "première\n日本\n\n"


def test_p9_help_beside_a_cursor(ok):
    assert ok("-c", "x", "help").out == ok("help").out


def test_p11_nothing_is_made_where_the_command_runs(tmp_path, monkeypatch, ok):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    ok("set", "k", "v")
    ok("projects")
    assert list(here.iterdir()) == []


def test_l11_the_version(ok):
    assert ok("version").text == ok("--version").text


def test_l12_help_names_the_program_and_its_usage(ok):
    assert ok("help").text.startswith("Usage: pronto")


# -- the document ----------------------------------------------------------------------------------------------------


def rows():
    """Return (the numbers, kept or changed, the rest) for each row of the tables of cases."""
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.findall(r"^\| ([A-Z]\d+[^|]*) \|(.*)\| (kept|changed)\b([^|]*(?:\|[^|]*)?)\|$", text, re.MULTILINE)
    return [(numbers(names), state, rest) for names, _, state, rest in found]


def numbers(names):
    """Return the cases that `K1, K3-K5` means."""
    found = []
    for part in names.split(", "):
        first, _, last = part.partition("-")
        family = first[0]
        found += [f"{family}{number}" for number in range(int(first[1:]), int((last or first)[1:]) + 1)]
    return found


def test_the_document_tells_of_every_case_once():
    told = [case for cases, _, _ in rows() for case in cases]
    assert sorted(told) == sorted(
        f"{family}{number}" for family, most in FAMILIES.items() for number in range(1, most + 1)
    )


def test_every_kept_case_names_the_tests_that_show_it():
    tests = DOCUMENT.parents[1] / "tests"
    own = set(CASES) | {
        name[len("test_") :].split("_")[0].upper() for name in globals() if re.match(r"test_[a-z]\d+_", name)
    }
    for cases, state, rest in rows():
        named = re.findall(r"`([\w/]+\.py)`", rest)
        assert [name for name in named if not (tests / name).exists()] == []
        if state == "kept":
            assert named or set(cases) <= own, f"nothing shows {cases}"
        else:
            assert len(rest) > 20, f"no reason for {cases}"


RULES = DOCUMENT.with_name("rsb.md")


def test_every_rule_is_answered_and_what_is_named_exists():
    text = RULES.read_text(encoding="utf-8")
    answers = re.findall(r"^\| R(\d+) \| .* \| (holds|exception|does not apply)\b", text, re.MULTILINE)
    assert [int(number) for number, _ in answers] == list(range(1, 39))
    root = RULES.parents[1]
    paths = re.findall(r"`((?:cli|tests|docs|pronto_lmdb|\.ci)/[\w/.]+|\w+\.md)`", text)
    assert len(paths) > 20
    assert [path for path in paths if not (root / path).exists()] == []
