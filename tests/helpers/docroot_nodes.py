"""Nodes in directories: the real receiver and the real engine, with Python in place of ssh and rsync."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import nodes, progress, session
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw
from ansible_collections.boring.lamp.plugins.module_utils.docroot.preview import stage
from ansible_collections.boring.lamp.plugins.module_utils.docroot.progress import Copy
from ansible_collections.boring.lamp.plugins.module_utils.docroot.publish import publish
from ansible_collections.boring.lamp.plugins.module_utils.docroot.repair import verify
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.rollback import roll_back
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import (
    Settings,
    Target,
    from_mapping,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import (
    PROTOCOL,
    FencedError,
    TargetError,
    UnreachableError,
)


def copy_paths(source: str, destination: str, paths: Iterable[str]) -> None:
    """What rsync does with a list of paths: attributes, hard links among them, directories last."""
    links: dict[tuple[int, int], bytes] = {}
    directories = []
    for path in sorted(paths):
        old, new = os.path.join(raw(source), raw(path)), os.path.join(raw(destination), raw(path))
        if not os.path.lexists(old):
            continue
        info = os.lstat(old)
        os.makedirs(os.path.dirname(new), exist_ok=True)
        if stat.S_ISDIR(info.st_mode):
            if not os.path.isdir(new):
                os.mkdir(new)
            directories.append((new, info))
            continue
        if os.path.lexists(new):
            os.unlink(new)
        key = (info.st_dev, info.st_ino)
        if key in links:
            os.link(links[key], new, follow_symlinks=False)
            continue
        links[key] = new
        if stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(old), new)
        elif stat.S_ISFIFO(info.st_mode):
            os.mkfifo(new)
        else:
            shutil.copyfile(old, new)
        dress(new, info)
    for new, info in reversed(directories):
        dress(new, info)


def dress(path: bytes, info: os.stat_result) -> None:
    os.chown(path, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(path, stat.S_IMODE(info.st_mode))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


class Cluster:
    """Nodes by name; a test takes them down, counts what they were asked, or makes a verb fail."""

    def __init__(self, base: Path, names: Iterable[str]) -> None:
        self.base = base
        self.names = list(names)
        self.down: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.hook: Callable[[str, str], None] = lambda name, verb: None
        self.reload = "true"
        for name in self.names:
            (base / name).mkdir()

    def root(self, name: str) -> Root:
        return Root(str(self.base / name / "site"), str(self.base / name / "memory.json"))

    def current(self, name: str) -> Path:
        return self.base / name / "site" / "current"

    def count(self, verb: str) -> int:
        return sum(1 for _, asked in self.asked if asked == verb)

    def settings(self, src: Path, **more: Any) -> Settings:
        return from_mapping(
            {
                "src": str(src),
                "dest": "/nowhere/site",
                "targets": [{"name": name, "host": name} for name in self.names],
                "lock_wait": 0,
                **more,
            }
        )

    def store(self, settings: Settings) -> Store:
        return Store(settings.dest, str(self.base / "publisher"))

    def link(self, settings: Settings, target: Target, files: str, hello: dict[str, Any]) -> FakeLink:
        return FakeLink(self, target.name, hello)


class FakeLink:
    """A session of the real receiver in this process; all that is said goes through JSON, as on the wire."""

    def __init__(self, cluster: Cluster, name: str, hello: dict[str, Any]) -> None:
        self.cluster, self.name, self.root = cluster, name, cluster.root(name)
        node = {"reload_command": cluster.reload, "reload_timeout": 5}
        self.session = session.Session(self.root, node, str(cluster.base / name / "run" / "lock"), 5)
        self.opening = {"verb": "hello", "protocol": PROTOCOL, **hello}

    def hello(self) -> dict[str, Any]:
        return self.say(self.opening)

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return self.say({"verb": verb, **arguments})

    def say(self, request: dict[str, Any]) -> dict[str, Any]:
        self.called(request["verb"])
        answer = json.loads(json.dumps(self.session.answer(json.loads(json.dumps(request)))))
        if answer.get("fenced"):
            raise FencedError(answer["error"])
        if "error" in answer:
            raise TargetError(answer["error"])
        return answer

    def copy(self, root: str, area: str, paths: Iterable[str], progress: Copy) -> int:
        paths = [path for path in paths if path]
        if not paths:
            return 0
        self.called("copy")
        copy_paths(root, self.root.area(area), paths)
        progress.done()
        return len(paths)

    def called(self, verb: str) -> None:
        self.cluster.asked.append((self.name, verb))
        if self.name in self.cluster.down:
            raise UnreachableError("down")
        self.cluster.hook(self.name, verb)

    def close(self) -> None:
        self.session.close()


def install(cluster: Cluster, monkeypatch: Any, base: Path) -> None:
    """Let the engine find these nodes instead of real ones."""
    monkeypatch.setattr(nodes, "Link", cluster.link)
    monkeypatch.setattr(nodes, "CONTROL", str(base / "control"))
    monkeypatch.setattr(progress, "FILE", str(base / "progress.json"))


NODES = ("one", "two", "three")


@dataclasses.dataclass
class Site:
    cluster: Cluster
    source: Path
    settings: Settings

    def publish(self, **more: bool) -> Result:
        return publish(self.settings, self.cluster.store(self.settings), **more)

    def roll_back(self, generation: str | None = None, **more: bool) -> Result:
        return roll_back(self.settings, self.cluster.store(self.settings), generation, **more)

    def stage(self, **more: bool) -> Result:
        return stage(self.settings, self.cluster.store(self.settings), **more)

    def verify(self, **more: bool) -> Result:
        return verify(self.settings, self.cluster.store(self.settings), **more)

    def change(self, **fields: object) -> None:
        self.settings = dataclasses.replace(self.settings, **fields)

    def live(self) -> set[str]:
        return {self.read(name, "index.php") for name in NODES}

    def read(self, name: str, path: str) -> str:
        return (self.cluster.current(name) / path).read_text()

    def states(self, result: Result) -> list[str]:
        return [result.targets[name].state for name in NODES]


def make_site(base: Path, control: Path, monkeypatch: Any) -> Site:
    """A small source and three blank nodes."""
    cluster = Cluster(base, NODES)
    install(cluster, monkeypatch, control)
    source = base / "source"
    (source / "media").mkdir(parents=True)
    (source / "cache").mkdir()
    (source / "index.php").write_text("first")
    (source / "other.php").write_text("other")
    (source / "media" / "a.jpg").write_text("picture")
    (source / "cache" / "c").write_text("cached")
    (source / "x.log").write_text("log")
    settings = cluster.settings(source, shared_paths=["media"], writable_paths=["cache"], excludes=["*.log"])
    return Site(cluster, source, settings)
