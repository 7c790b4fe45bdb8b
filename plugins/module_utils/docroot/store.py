"""What the publisher remembers between runs: decisions, and the manifests they were made from."""

from __future__ import annotations

import glob
import os
from typing import Any
from urllib.parse import quote

from ansible_collections.boring.lamp.plugins.module_utils.docroot import manifest as manifests
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import read_json, write_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.history import History
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest

HOME = "/var/lib/lamp/docroot/publisher"
# Every node may lag behind by some states of the shared trees before it is compared file by file.
SHARED_STATES = 5


class Store(History):
    """`state` holds the decisions; the manifests of the generations are in History."""

    def __init__(self, dest: str, home: str = HOME) -> None:
        super().__init__(os.path.join(home, quote(dest.strip("/"), safe="") or "root"))
        self.lock = os.path.join(self.directory, "lock")
        self.state: dict[str, Any] = read_json(os.path.join(self.directory, "state.json"))

    def save(self, **values: Any) -> None:
        """Remember; what is decided here is finished by the next run if this one dies."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self.state.update(values)
        write_json(os.path.join(self.directory, "state.json"), self.state)

    def load(self) -> None:
        """Read again what another run may have written."""
        self.state = read_json(os.path.join(self.directory, "state.json"))
        self._same.clear()

    def shared(self, path: str, digest: str | None) -> Manifest | None:
        return manifests.load(self._shared_file(path, digest)) if digest else None

    def keep_shared(self, path: str, digest: str, manifest: Manifest) -> None:
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        manifests.save(manifest, self._shared_file(path, digest))
        states = glob.glob(glob.escape(self._shared_file(path, "")) + "*")
        for old in sorted(states, key=os.path.getmtime)[:-SHARED_STATES]:
            os.unlink(old)

    def _shared_file(self, path: str, digest: str) -> str:
        # No path contains an @ once it is quoted.
        return os.path.join(self.directory, f"shared-{quote(path, safe='')}@{digest}")
