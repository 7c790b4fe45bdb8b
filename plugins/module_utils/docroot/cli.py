"""lamp-publish: the publisher on its own host, for the timer and for people."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import sys
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.preview import stage
from ansible_collections.boring.lamp.plugins.module_utils.docroot.publish import publish
from ansible_collections.boring.lamp.plugins.module_utils.docroot.repair import verify
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.rollback import roll_back
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import (
    CONFIG,
    BadSettingError,
    from_mapping,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import FailedError

DONE, ERROR, REFUSED, DEGRADED = 0, 1, 2, 3


def load_mapping(path: str) -> dict[str, Any]:
    """The settings in the file that the role writes."""
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        raise BadSettingError(f"{path} does not exist: this host publishes nothing") from None
    except (OSError, ValueError, TypeError) as error:
        raise BadSettingError(f"{path} can't be read: {error}") from None


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="lamp-publish", description="Publish the docroot to all nodes.")
    out.add_argument("--config", default=CONFIG)
    out.add_argument("--check", action="store_true", help="say what would happen, write nothing")
    out.add_argument("--json", action="store_true", help="the whole result as JSON")
    verbs = out.add_subparsers(dest="verb")
    now = verbs.add_parser(
        "publish", help="publish the source as it is now (this is what happens without a verb)"
    )
    now.add_argument("--timer", action="store_true", help="only what has been quiet for two scans")
    look = verbs.add_parser("stage", help="put the source onto the nodes without switching: only a preview")
    for verb in (now, look):
        verb.add_argument(
            "--allow-mass-delete", action="store_true", help="publish although many files are gone"
        )
    verbs.add_parser("verify", help="read everything that is published on the nodes, and repair it")
    verbs.add_parser("validate", help="only read the configuration")
    back = verbs.add_parser("rollback", help="switch every node to the previous or a named generation")
    back.add_argument("generation", nargs="?")
    return out


def lines(result: Result) -> list[str]:
    """The result for people."""
    if result.refused_reason:
        return [f"refused: {result.refused_reason}"]
    counts = ", ".join(
        f"{len(names)} {kind.replace('_', ' ')}" for kind, names in result.names.items() if names
    )
    out = [
        f"{'changed' if result.changed else 'unchanged'}: generation {result.generation or 'none'}"
        + (f" ({counts})" if counts else "")
    ]
    out += [
        f"  {name}: {target.state}"
        + (f" ({target.error})" if target.error else "")
        + (f", {len(target.repaired)} paths differed" if target.repaired else "")
        for name, target in sorted(result.targets.items())
        if result.changed or target.state != "current"
    ]
    return (
        out
        + [f"  note: {note}" for note in result.notes]
        + [f"  degraded: {text}" for text in result.degraded]
    )


def report(result: Result, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.public(), indent=1, sort_keys=True))
    else:
        print("\n".join(lines(result)), file=sys.stderr if result.refused_reason else sys.stdout)


def main(arguments: list[str] | None = None) -> int:
    # A run is short and makes many objects that live as long as it: looking for garbage only takes time.
    gc.disable()
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    options = parser().parse_args(arguments)
    try:
        settings = from_mapping(load_mapping(options.config))
        if options.verb == "validate":
            return DONE
        store = Store(settings.dest)
        if getattr(options, "allow_mass_delete", False):
            settings = dataclasses.replace(settings, allow_mass_delete=True)
        if options.verb == "rollback":
            result = roll_back(settings, store, options.generation, check=options.check)
        elif options.verb == "stage":
            result = stage(settings, store, check=options.check)
        elif options.verb == "verify":
            result = verify(settings, store, check=options.check)
        else:
            result = publish(settings, store, check=options.check, timer=getattr(options, "timer", False))
    except BadSettingError as error:
        print(f"lamp-publish: {error}", file=sys.stderr)
        return ERROR
    except FailedError as error:
        report(error.result, options.json)
        print(f"lamp-publish: {error}", file=sys.stderr)
        return ERROR
    report(result, options.json)
    if result.refused_reason:
        return REFUSED
    return DEGRADED if result.degraded else DONE
