"""One node's published root: generations/<id>, current, shared, writable.

Everything below generations/ without the prefix `incoming.` is complete and is never altered again.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import manifest as manifests
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import read_json, write_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import (
    INCOMING,
    is_generation,
    raw,
    relative,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import content_of, link_target, scan

KEEP_AT_LEAST = 3


class NodeError(Exception):
    """The node can't do what it was asked to; the text says why."""


class Root:
    """The published root of one node, with the node's own memory of what it was told."""

    def __init__(self, path: str, memory: str) -> None:
        self.path = path
        self.memory = memory

    def generation(self, name: str) -> str:
        return os.path.join(self.path, "generations", name)

    def remembered(self) -> dict[str, Any]:
        return read_json(self.memory)

    def remember(self, **values: Any) -> None:
        write_json(self.memory, {**self.remembered(), **values}, 0o644)

    def current(self) -> str | None:
        """The generation that visitors see, or nothing."""
        try:
            target = os.readlink(os.path.join(self.path, "current"))
        except FileNotFoundError:
            return None
        except OSError:
            raise NodeError(
                f"{self.path}/current is no symbolic link: this collection did not make it"
            ) from None
        name = os.path.basename(target)
        if target != f"generations/{name}" or not is_generation(name):
            raise NodeError(f"{self.path}/current points to {target}, which this collection did not make")
        return name if os.path.isdir(self.generation(name)) else None

    def generations(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.generation("")) if is_generation(name))
        except FileNotFoundError:
            return []

    def status(self) -> dict[str, Any]:
        known = self.remembered()
        return {
            "current": self.current(),
            "previous": known.get("previous"),
            "generations": self.generations(),
            "shared": known.get("shared", {}),
            "told": known.get("told"),
        }

    def area(self, name: str) -> str:
        """The directory behind `incoming/<id>` or `shared/<path>`; nothing else may be written."""
        kind, _, rest = name.partition("/")
        rest = rest.rstrip("/")
        if kind == "incoming" and is_generation(rest):
            return self.generation(INCOMING + rest)
        if kind == "shared":
            return self.place("shared", rest)
        raise NodeError(f"{name!r} is no place to write to")

    def place(self, kind: str, path: str) -> str:
        """A directory outside the generations; no link that somebody published may lead away from it."""
        found = os.path.join(self.path, kind)
        try:
            parts = relative(path).split("/")
        except ValueError as error:
            raise NodeError(str(error)) from None
        for part in parts:
            found = os.path.join(found, part)
            if os.path.islink(found):
                raise NodeError(f"{found} is a symbolic link, and nothing is written through it")
        return found

    def prepare(self, name: str, base: str | None) -> dict[str, Any]:
        """A fresh incoming generation, with hard links to the base. Litter of killed runs goes first."""
        if not is_generation(name):
            raise NodeError(f"{name!r} is no name of a generation")
        if os.path.lexists(self.generation(name)):
            raise NodeError(f"generation {name} exists already")
        os.makedirs(self.generation(""), mode=0o755, exist_ok=True)
        self.clean()
        incoming = self.generation(INCOMING + name)
        if base is None:
            os.mkdir(incoming, 0o700)
        else:
            if not is_generation(base) or not os.path.isdir(self.generation(base)):
                raise NodeError(f"generation {base} does not exist here")
            done = subprocess.run(
                ["/usr/bin/cp", "-a", "-l", "--no-target-directory", "--", self.generation(base), incoming],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            if done.returncode:
                raise NodeError(f"linking {base} to a new generation failed: {done.stderr.strip()[-300:]}")
        return {"base": base}

    def clean(self) -> None:
        for name in os.listdir(self.generation("")):
            if name.startswith(INCOMING):
                shutil.rmtree(self.generation(name))

    def apply(self, area: str, remove: list[str], links: dict[str, Any]) -> dict[str, Any]:
        """Take names away and make the links to what lives outside the generation."""
        root = self.area(area)
        os.makedirs(root, mode=0o755, exist_ok=True)
        for path in remove:
            _remove(root, relative(path))
        for path, (kind, mode, uid, gid) in sorted(links.items()):
            if kind not in ("shared", "writable"):
                raise NodeError(f"{kind!r} is no place that a link may lead to")
            place = self.place(kind, path)
            if not os.path.isdir(place):
                os.makedirs(place, mode=0o755)
                os.chown(place, uid, gid)
                os.chmod(place, mode & 0o7777)
            _link(root, path, link_target(path, kind))
        return {}

    def seal(
        self, name: str, digest: str, content: dict[str, str], untimed: list[str], top: list[int]
    ) -> dict[str, Any]:
        """Compare the incoming generation with what it must be; if it is the same it becomes a generation."""
        incoming = self.area(f"incoming/{name}")
        _dress(incoming, top)
        found = manifests.digest(scan(incoming, untimed=untimed))
        torn = [path for path, value in content.items() if content_of(incoming, relative(path)) != value]
        if found != digest or torn:
            return {"sealed": False, "torn": torn[:20]}
        # After a power cut the files must be there when the link to them is.
        subprocess.run(["/usr/bin/sync", "-f", incoming], check=False)
        os.rename(incoming, self.generation(name))
        return {"sealed": True}

    def compare(self, area: str, content: dict[str, str], top: list[int]) -> dict[str, Any]:
        root = self.area(area)
        _dress(root, top)
        return {
            "torn": [path for path, value in content.items() if content_of(root, relative(path)) != value][
                :20
            ]
        }

    def listing(self, area: str, untimed: list[str]) -> dict[str, Any]:
        """The manifest of a tree on this node, with contents."""
        root = self.area(area)
        if not os.path.isdir(root):
            return {"manifest": []}
        found = scan(root, untimed=untimed)
        for path, entry in found.items():
            if entry.kind == "f":
                found[path] = entry._replace(content=content_of(root, path))
        return {"manifest": manifests.encode(found)}

    def shared_is(self, path: str, digest: str) -> dict[str, Any]:
        self.remember(shared={**self.remembered().get("shared", {}), relative(path): digest})
        return {}

    def tell(self, generation: str, previous: str | None, since: float) -> dict[str, Any]:
        """Remember which generation the publisher expects here, whether this node has it or not."""
        if not is_generation(generation) or (previous is not None and not is_generation(previous)):
            raise NodeError(f"{generation!r} is no name of a generation")
        self.remember(told={"generation": generation, "previous": previous, "since": float(since)})
        return {}

    def switch(self, generation: str, reload_command: list[str], timeout: float) -> dict[str, Any]:
        """Let visitors see the generation. If the web server refuses to reload, they keep what they had."""
        if not is_generation(generation) or not os.path.isdir(self.generation(generation)):
            raise NodeError(f"generation {generation} does not exist here")
        before = self.current()
        started = time.monotonic()
        if before != generation:
            self._point(generation)
        error = _reload(reload_command, timeout)
        if error:
            if before is not None and before != generation:
                self._point(before)
                _reload(reload_command, timeout)
                raise NodeError(f"{error}; visitors still see {before}")
            raise NodeError(error)
        if before != generation:
            self.remember(previous=before)
        return {"previous": before, "seconds": round(time.monotonic() - started, 3)}

    def _point(self, generation: str) -> None:
        fresh = os.path.join(self.path, ".current.new")
        if os.path.lexists(fresh):
            os.unlink(fresh)
        os.symlink(f"generations/{generation}", fresh)
        os.rename(fresh, os.path.join(self.path, "current"))

    def prune(self, keep: int, protect: list[str]) -> dict[str, Any]:
        """Remove the oldest generations; never the current one, the previous one or a protected one."""
        names = self.generations()
        spared = {self.current(), self.remembered().get("previous"), *protect}
        spared.update(names[-max(keep, KEEP_AT_LEAST) :])
        removed = [name for name in names if name not in spared]
        for name in removed:
            # Under its own name a generation is always whole.
            dying = self.generation(INCOMING + name)
            os.rename(self.generation(name), dying)
            shutil.rmtree(dying)
        return {"removed": removed}


def _dress(root: str, top: list[int]) -> None:
    """Owner, mode and time of the tree's own directory, which rsync is not asked to carry."""
    uid, gid, mode, mtime_ns = top
    os.chown(root, uid, gid)
    os.chmod(root, mode & 0o7777)
    if mtime_ns >= 0:
        os.utime(root, ns=(mtime_ns, mtime_ns))


def _walk_to(root: str, path: str) -> bytes:
    """The full name of a path, refused when a directory on the way is a link out of the tree."""
    place = raw(root)
    *directories, last = raw(path).split(b"/")
    for part in directories:
        place = os.path.join(place, part)
        if os.path.lexists(place) and not stat.S_ISDIR(os.lstat(place).st_mode):
            raise NotADirectoryError(place)
    return os.path.join(place, last)


def _remove(root: str, path: str) -> None:
    try:
        place = _walk_to(root, path)
        if stat.S_ISDIR(os.lstat(place).st_mode):
            shutil.rmtree(place)
        else:
            os.unlink(place)
    except (FileNotFoundError, NotADirectoryError):
        return


def _link(root: str, path: str, target: str) -> None:
    try:
        place = _walk_to(root, path)
    except NotADirectoryError:
        raise NodeError(f"{path} can't be linked: its parent is no directory") from None
    os.makedirs(os.path.dirname(place), exist_ok=True)
    _remove(root, path)
    os.symlink(target, place)
    os.lchown(place, 0, 0)
    os.utime(place, ns=(0, 0), follow_symlinks=False)


def _reload(command: list[str], timeout: float) -> str:
    """'' when the web server took it, otherwise what it said."""
    if not command:
        return ""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the reload command failed: {error}"
    if done.returncode:
        return f"the reload command failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-300:]}"
    return ""
