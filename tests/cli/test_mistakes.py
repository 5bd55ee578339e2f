"""The mistakes of a first day: each is told in one line that says what to do."""

from __future__ import annotations

import pytest

# What is typed, its exit code, and what the message says to do.
MISTAKES = [
    ("put plan draft", 64, "Did you mean `pronto set KEY VALUE`?"),
    ("gte plan", 64, "Did you mean 'get'"),
    ("serve", 64, "There is no server: every command works on the files itself."),
    ("init", 64, "The first write makes the store."),
    ("set", 64, "Missing argument 'KEY'. See `pronto set --help`."),
    ("set plan two words", 64, "Text with blanks needs quotes."),
    ("set balance -5", 64, "What begins with a dash and is no option goes behind `--`."),
    ("set plan", 64, "There is no VALUE. Give one, or pipe it in."),
    ("set --json plan {step:1}", 1, "Text in JSON has double quotes."),
    ("set plan draft --ttl 10m", 64, "--ttl takes a number of seconds, not '10m'. Write for instance 30 or 0.5."),
    ("set plan draft --ttl 0", 1, "Give a finite, positive number of seconds."),
    ("set plan draft --if-absent", 3, "Leave out --if-absent to replace it."),
    ("set plan draft --if-revision 99", 3, "Read it again with --with-revision."),
    ("get plan --jsn", 64, "--json"),
    ("get web..page", 1, "The namespace of a key is empty. Write project.namespace.name."),
    ("get plan -p web.cache", 1, "Only a name may contain dots."),
    ("get plan --raw --json", 64, "Leave out --json and --with-revision, or --raw."),
    ("get plan -a alice.research.main", 1, "Write user.cursor; a dot inside a part is %2E."),
    ("get plan -a alice -u bob", 64, "Leave out --user and --cursor, or --address."),
    ("get plan --timeout 5s", 64, "--timeout takes a number of seconds, not '5s'."),
    ("get plan --root", 64, "Option '--root' requires an argument."),
    ("incr plan", 1, "The value of 'plan' is str, not an integer. Put an integer first."),
    ("keys web cache", 64, "Text with blanks needs quotes. See `pronto keys --help`."),
    ("namespaces web.cache", 1, "Only a name may contain dots."),
    ("create-cache web 60", 1, "Write PROJECT.NAMESPACE."),
    ("create-cache web.cache 1h", 64, "timeout takes a number of seconds, not '1h'."),
    ("address", 64, "See `pronto address --help`."),
    ("address list", 64, "Did you mean `pronto addresses`?"),
    ("address create alice.research", 3, "Add --exist-ok to accept it as it is."),
    ("address delete alice.reserch", 1, "Did you mean alice.research?"),
    ("address delete nobody", 1, "`pronto addresses` lists those that exist."),
    ("address durability alice.research fast", 1, "must be one of full, normal, off"),
    ("address purge", 64, "Add --yes, or look first with --dry-run."),
    ("cursor use research", 64, "Did you mean `pronto use USER.CURSOR`?"),
    ("cursor set research", 64, "Missing argument 'PATH'."),
    ("config set colour red", 1, "Settings: address, durability, flush_interval, timeout, value_limit, view_warning."),
    ("config set timeout soon", 1, "The setting timeout cannot be 'soon': that is no number."),
    ("completion csh", 64, "Shells: bash, zsh, fish."),
    ("help gte", 64, "Did you mean 'get'"),
    ("stats --all -a alice", 64, "Leave out --address and --cursor, or --all."),
]


@pytest.fixture
def beginner(store):
    store["default"]["plan"] = "a text"
    store.create("alice.research")


@pytest.mark.parametrize(("line", "code", "advice"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_the_message_says_what_to_do(beginner, pronto, line, code, advice):
    done = pronto(*line.split(), **({"typed": ""} if line == "set plan" else {}))
    assert (done.code, done.out) == (code, b"")
    assert advice in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(("line", "code", "advice"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_a_mistake_changes_nothing(beginner, store, pronto, line, code, advice):
    pronto(*line.split(), **({"typed": ""} if line == "set plan" else {}))
    assert dict(store["default"]) == {"plan": "a text"}
    assert [str(info.address) for info in store.addresses()] == ["alice.research", "default.default"]
    assert len(store.config) == 0
