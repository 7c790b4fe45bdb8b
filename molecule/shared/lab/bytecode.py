"""Lives on the lab's hosts: keeps what Python compiled of Ansible's modules.

A module arrives as an archive of sources and is compiled anew for each task, a good part of what a task
costs; eight hosts that share two cores feel it. Real machines have nothing like this, and bench/converge
removes it.
"""

import _imp
import contextlib
import importlib.util
import marshal
import os
import zipimport

KEPT = "/var/cache/lamp-lab"
MAGIC = int.from_bytes(importlib.util.MAGIC_NUMBER, "little")
compile_source = zipimport._compile_source


def kept_or_compiled(path, source):
    """The code object of a source, from an earlier task if there was one."""
    name = os.path.join(KEPT, _imp.source_hash(MAGIC, source).hex())
    with contextlib.suppress(OSError, ValueError, EOFError), open(name, "rb") as file:
        return marshal.load(file)  # noqa: S302
    code = compile_source(path, source)
    fresh = f"{name}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with open(fresh, "wb") as file:
            marshal.dump(code, file)
        os.replace(fresh, name)
    return code


zipimport._compile_source = kept_or_compiled
