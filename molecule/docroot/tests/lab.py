"""Three nodes: the source on node1, the publisher's command, and what each node shows."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testinfra.host import Host

NODES = ("node1", "node2", "node3")
SOURCE = "/var/www/site"
SITE = "/srv/lamp/site"
FLAG = "/run/lamp/not-ready.d/generation"
CONFIG = "/etc/lamp/docroot/publisher.json"
EXPECTED = "/var/lib/lamp/docroot/expected.json"
CONNECT_TIMEOUT = 5
# What is no part of a generation.
APART = ("media", "var/cache")
PROGRAMS = Path(__file__).resolve().parents[1] / "programs"

Result = dict[str, Any]
Tree = dict[str, Any]


def eventually(condition: Callable[[], object], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def differences(tree: Tree, wanted: Tree) -> list[tuple[str, Any, Any]]:
    """Path by path: what is there and what should be."""
    paths = sorted(tree.keys() | wanted.keys())
    return [(path, tree.get(path), wanted.get(path)) for path in paths if tree.get(path) != wanted.get(path)]


class Lab:
    def __init__(self, node: Callable[[str], Host], address: Callable[[str], str]) -> None:
        self.node, self.address = node, address

    def run(self, name: str, command: str) -> str:
        """What a command prints there; it must not fail."""
        return self.node(name).check_output(command)

    def everywhere(self, command: str) -> list[str]:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda name: self.run(name, command), NODES))

    def program(self, name: str, program: str, *arguments: str) -> str:
        return self.run(name, self.command(program, *arguments))

    @staticmethod
    def command(program: str, *arguments: str) -> str:
        """The command line of one of the programs beside these tests."""
        return shlex.join(["python3", "-c", (PROGRAMS / program).read_text(), *arguments])

    @contextmanager
    def meanwhile(self, name: str, command: str) -> Iterator[Callable[[], str]]:
        """A command in the background; what is yielded waits for its end and says what it printed."""
        log = self.run(name, "mktemp")
        self.run(name, f"nohup sh -c {shlex.quote(f'{command}; echo ended')} > {log} 2>&1 & echo $!")

        def ended() -> str:
            assert eventually(lambda: self.run(name, f"tail -n 1 {log}") == "ended", 120), command[-200:]
            return self.run(name, f"head -n -1 {log}")

        yield ended
        ended()
        self.run(name, f"rm {log}")

    def publish(self, *words: str, code: int = 0, host: str = "node1", **settings: Any) -> Result:
        """The result of lamp-publish, with other settings than the role's where they are given."""
        done = self.node(host).run(self.publishing(*words, host=host, **settings))
        # Its end first: what it says is cut in reports.
        assert done.rc == code, (done.rc, done.stderr, done.stdout)
        return json.loads(done.stdout)

    def publishing(self, *words: str, host: str = "node1", **settings: Any) -> str:
        """Its command line."""
        options = []
        if settings:
            known = json.loads(self.run(host, f"cat {CONFIG}"))
            text = json.dumps(known | settings)
            self.run(host, f"printf %s {shlex.quote(text)} > /tmp/publisher.json")
            options = ["--config", "/tmp/publisher.json"]
        return shlex.join(["lamp-publish", "--json", *options, *words])

    def timer(self) -> None:
        """What the timer does."""
        self.run("node1", "systemctl start lamp-publish.service")

    def current(self, name: str) -> str:
        """The generation that visitors of a node see."""
        return self.run(name, f"basename $(readlink {SITE}/current)")

    def currents(self) -> set[str]:
        return set(self.everywhere(f"basename $(readlink {SITE}/current)"))

    def generations(self, name: str) -> list[str]:
        """Those that are whole."""
        return self.run(name, f"ls {SITE}/generations | grep -v ^incoming || true").split()

    def state(self, name: str) -> str:
        """What visitors could get and what lies around it, on one node."""
        return self.run(
            name,
            f"cd {SITE}; ls -A1 . generations; readlink current; "
            "find . -mindepth 2 -not -path './shared/.incoming*' -not -path './.spare*' "
            "-printf '%p %y %m %s %T@ %l\\n' | sort | cat -v",
        )

    def states(self) -> list[str]:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(self.state, NODES))

    def write(self, path: str, text: str) -> None:
        """Put a file into the source."""
        place = shlex.quote(f"{SOURCE}/{path}")
        self.run("node1", f"mkdir -p $(dirname {place}) && printf %s {shlex.quote(text)} > {place}")

    def number(self, number: int) -> None:
        """A page that says its number twice, from two files."""
        self.write(
            "index.php",
            f"<?php echo {number}, ' '; if (isset($_GET['slow'])) usleep(200000); "
            "require $_SERVER['DOCUMENT_ROOT'].'/lib/part.php';",
        )
        self.write("lib/part.php", f"<?php echo {number};")

    def page(self, name: str, path: str = "index.php") -> str:
        return self.run(name, f"curl -sf http://127.0.0.1/{path}")

    def trees(self, name: str, *roots: str) -> dict[str, Tree]:
        """Everything that must be the same, of whole trees."""
        return json.loads(self.program(name, "fingerprint.py", ",".join(APART), *roots))

    def published(self, name: str) -> dict[str, Tree]:
        """Each generation on a node."""
        roots = [f"{SITE}/generations/{generation}" for generation in self.generations(name)]
        return {Path(root).name: tree for root, tree in self.trees(name, *roots).items()}

    def source(self) -> Tree:
        return self.trees("node1", SOURCE)[SOURCE]

    def same_as_source(self) -> None:
        """Every node shows the source, in everything."""
        wanted, place = self.source(), f"{SITE}/current/."
        with ThreadPoolExecutor() as pool:
            shown = list(pool.map(lambda name: self.trees(name, place)[place], NODES))
        for name, tree in zip(NODES, shown, strict=True):
            assert not (found := differences(tree, wanted)), (name, found)

    def litter(self, name: str) -> str:
        return self.run(
            name, f"ls -d {SITE}/generations/incoming.* {SITE}/shared/.incoming/* 2>/dev/null || true"
        )

    def settled(self) -> list[str]:
        """Every file and its times, as soon as each node did what it does after a publication."""
        self.spared()
        self._on_every_node(f"grep -qF $(basename $(readlink {SITE}/current)) {EXPECTED}")
        return self.files()

    def spared(self) -> None:
        """Wait until each node has what the next generation starts from."""
        self._on_every_node(f"test -d {SITE}/.spare/$(basename $(readlink {SITE}/current))")

    def _on_every_node(self, command: str) -> None:
        """Wait until the command succeeds there."""
        for name in NODES:
            assert eventually(lambda name=name: self.node(name).run(command).rc == 0), (name, command)

    def files(self) -> list[str]:
        """Every file and its times, on each node: what is published, the source and what is remembered."""
        places = f"{SITE} {SOURCE} /var/lib/lamp /etc/lamp"
        return self.everywhere(
            f"find {places} -printf '%p %y %m %s %T@ %C@ %l\\n' 2>/dev/null | sort | cat -v"
        )

    def reloads(self) -> list[str]:
        return self.everywhere("journalctl -u apache2 | grep -c Reloaded || true")
