"""The commands of `validate`: they look at what changed, and one that objects stops the publication."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable, Iterator

from ansible_collections.boring.lamp.plugins.module_utils.docroot.channel import last_words
from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import compile_excludes
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw, shown
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Check, Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import Tree

# Of one command line; the kernel takes more, but not everywhere.
LONGEST = 100_000


def validate(settings: Settings, tree: Tree, changed: Iterable[str]) -> None:
    """Run every command on the changed files that it is for; raises RefusedError with its last words."""
    if not settings.validate:
        return
    # Most publishers have no such commands, and need not wait for the import.
    from concurrent.futures import ThreadPoolExecutor

    files = sorted(path for path in changed if tree.manifest[path].kind == "f")
    for check in settings.validate:
        matches = compile_excludes([check.pattern])
        batches = list(_batches(check, [path for path in files if matches(path, False)]))
        if not batches:
            continue
        with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
            waiting = [pool.submit(_objection, settings, tree.root, check, batch) for batch in batches]
            try:
                for done in waiting:
                    if objection := done.result():
                        raise RefusedError(objection)
            finally:
                for done in waiting:
                    done.cancel()


def _batches(check: Check, files: list[str]) -> Iterator[list[str]]:
    if check.each:
        yield from ([path] for path in files)
        return
    batch: list[str] = []
    length = 0
    for path in files:
        if batch and length + len(raw(path)) > LONGEST:
            yield batch
            batch, length = [], 0
        batch.append(path)
        length += len(raw(path)) + 4
    if batch:
        yield batch


def _objection(settings: Settings, root: str, check: Check, files: list[str]) -> str:
    """'' when the command likes the files, otherwise what it said."""
    what = shown(files[0]) if len(files) == 1 else f"{len(files)} files"
    subject = f"validate: {check.command!r} on {what}"
    try:
        done = subprocess.run(
            # A file whose name starts with a dash is no option.
            [*shlex.split(check.command), *(b"./" + raw(path) for path in files)],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=settings.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{subject} did not end within timeout={settings.timeout} seconds"
    except OSError as error:
        return f"{subject} can't be run: {error}"
    if not done.returncode:
        return ""
    return f"{subject} ended with {done.returncode}: {last_words(done.stdout, most=3, length=500)}"
