"""What the publisher remembers between runs: decisions, and the manifests they were made from."""

from __future__ import annotations

import glob
import os
from typing import Any
from urllib.parse import quote

from ansible_collections.boring.lamp.plugins.module_utils.docroot import manifest as manifests
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import read_json, write_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest

HOME = "/var/lib/lamp/docroot/publisher"
# Every node may lag behind by some states of the shared trees before it is compared file by file.
SHARED_STATES = 5


class Store:
    """`state` holds: generation, previous, since, held, seen, shared, purge_due, notebook_due."""

    def __init__(self, dest: str, home: str = HOME) -> None:
        self.directory = os.path.join(home, quote(dest.strip("/"), safe="") or "root")
        self.lock = os.path.join(self.directory, "lock")
        self.state: dict[str, Any] = read_json(os.path.join(self.directory, "state.json"))

    def save(self, **values: Any) -> None:
        """Remember; what is decided here is finished by the next run if this one dies."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self.state.update(values)
        write_json(os.path.join(self.directory, "state.json"), self.state)

    def load(self) -> None:
        self.state = read_json(os.path.join(self.directory, "state.json"))

    def manifest(self, name: str | None) -> Manifest | None:
        return manifests.load(self._file(name)) if name else None

    def keep_manifest(self, name: str, manifest: Manifest) -> None:
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        manifests.save(manifest, self._file(name))

    def shared(self, path: str, digest: str | None) -> Manifest | None:
        return self.manifest(self._shared_name(path, digest)) if digest else None

    def keep_shared(self, path: str, digest: str, manifest: Manifest) -> None:
        self.keep_manifest(self._shared_name(path, digest), manifest)
        states = glob.glob(glob.escape(self._file(self._shared_name(path, "")).removesuffix(".gz")) + "*.gz")
        for old in sorted(states, key=os.path.getmtime)[:-SHARED_STATES]:
            os.unlink(old)

    def prune(self, keep: set[str]) -> None:
        for path in glob.glob(os.path.join(glob.escape(self.directory), "2*.gz")):
            if os.path.basename(path).removesuffix(".gz") not in keep:
                os.unlink(path)

    def _file(self, name: str) -> str:
        return os.path.join(self.directory, f"{name}.gz")

    @staticmethod
    def _shared_name(path: str, digest: str) -> str:
        return f"shared-{quote(path, safe='')}-{digest}"
