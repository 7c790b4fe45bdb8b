"""A publisher's session on a node: one request a line, one answer a line, in order.

Nothing but `hello` is answered before the publisher said who it is, and nothing is done for one that is not
the authoritative node (any more).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import fence
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import LOCK, LOCK_WAIT, NodeError, Root

PROTOCOL = 3
# Seconds between two signs of life. A publisher that misses several of them takes the node for hung.
PULSE = 1.0
# How much less than visitors' requests the work counts that is done after the publisher is gone.
NICE = 10

Arguments = dict[str, Any]
Verb = Callable[[Root, dict[str, Any], Arguments], dict[str, Any]]


# What a verb needs is imported when it is asked for: most sessions ask for few of them.


def status(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.space import free
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.spare import there

    known = root.remembered()
    return {
        "current": root.current(),
        "previous": known.get("previous"),
        "staged": root.staged(),
        "generations": root.generations(),
        "spare": there(root),
        "shared": known.get("shared", {}),
        "told": known.get("told"),
        "free": free(root.path),
        "authority": fence.authority(root),
    }


def prepare(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import recycle

    return recycle.prepare(
        root, a["generation"], a["base"], a.get("recycle"), a.get("dirty"), bool(a.get("repair"))
    )


def apply(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.apply import apply

    return apply(root, a["area"], a["remove"], a["links"])


def seal(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import verify

    return verify.seal(
        root,
        a["generation"],
        a["mode"],
        a["entries"],
        a["content"],
        a["gone"],
        a["digest"],
        a["untimed"],
        a["top"],
        a.get("attributes", []),
        bool(a.get("replace")),
    )


def compare(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import verify

    return verify.compare(
        root, a["area"], a["entries"], a["content"], a["gone"], a["top"], a.get("attributes", [])
    )


def arrive(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import arrivals

    return arrivals.arrive(root, a["path"])


def merge(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import arrivals

    return arrivals.merge(root, a["path"], a["remove"], a["paths"])


def listing(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import verify

    place = root.existing(a["generation"]) if "generation" in a else root.area(a["area"])
    return verify.listing(root, place, a["untimed"], a.get("attributes", []))


def shared(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import live

    return live.shared_is(root, a["path"], a["digest"])


def tell(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import live

    return live.tell(root, a["generation"], a["previous"], a["since"], bool(a.get("left_out")))


def stage(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import live

    return live.stage(root, a["generation"], node)


def switch(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import live

    live.tell(root, a["generation"], a["previous"], a["since"])
    return live.switch(root, a["generation"], node)


def prune(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import live

    return live.prune(root, int(a["keep"]), list(a["protect"]))


def spare(root: Root, node: dict[str, Any], a: Arguments) -> dict[str, Any]:
    """The answer comes at once: the spare is made when the publisher is gone."""
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import spare

    return {"wish": spare.begin(root, a["base"], a["recycle"], a["dirty"])}


VERBS: dict[str, Verb] = {
    "status": status,
    "prepare": prepare,
    "apply": apply,
    "seal": seal,
    "compare": compare,
    "arrive": arrive,
    "merge": merge,
    "listing": listing,
    "shared": shared,
    "tell": tell,
    "stage": stage,
    "switch": switch,
    "prune": prune,
    "spare": spare,
}
# Those that read only: they wait for nobody.
READING = {"status", "listing"}


class Session:
    """One publisher, from its hello to the end."""

    def __init__(
        self, root: Root, node: dict[str, Any], lock: str = LOCK, lock_wait: float = LOCK_WAIT
    ) -> None:
        self.root = root
        self.node = node
        self.lock = lock
        self.lock_wait = lock_wait
        self.publisher: str | None = None
        self.epoch = 0
        self._open: int | None = None
        self._prepared: str | None = None
        self.wish: Any = None

    def answer(self, request: Any) -> dict[str, Any]:
        """Do what is asked for; what goes wrong is an answer as well."""
        try:
            return self._answer(request)
        except fence.FencedError as error:
            return {"error": str(error), "fenced": True}
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            return {"error": f"refused: {error!r} in the request"}
        except (NodeError, BusyError, OSError) as error:
            return {"error": str(error)}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        verb = request["verb"]
        if verb == "hello":
            return self._hello(request)
        if self.publisher is None:
            raise NodeError("refused: the first request is hello")
        if verb not in VERBS:
            raise NodeError(f"refused: {verb!r} is nothing that a publisher asks for")
        if verb in READING:
            return VERBS[verb](self.root, self.node, request)
        with locked(self.lock, self.lock_wait):
            # At every request: another publisher may have taken over since the last one.
            fence.learn(self.root, self.publisher, self.epoch)
            if self._open is None:
                self._open = fence.enter(os.path.dirname(self.lock), self.epoch)
            if verb == "prepare":
                self._claim(request["generation"])
            answer = VERBS[verb](self.root, self.node, request)
            self.wish = answer.pop("wish", self.wish)
            if answer.get("sealed"):
                self._prepared = None
            return answer

    def _hello(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["protocol"] != PROTOCOL:
            raise NodeError(f"this node speaks protocol {PROTOCOL}, not {request['protocol']!r}")
        # Who only looks leaves no trace: the node remembers a publisher when it writes for the first time.
        fence.check(self.root, request["publisher"], request["epoch"])
        self._leave()
        self.publisher, self.epoch = request["publisher"], request["epoch"]
        return {**status(self.root, self.node, {}), "protocol": PROTOCOL}

    def close(self) -> None:
        """What was prepared and not sealed is litter, the next run starts afresh; and there is time now."""
        self._leave()
        if self._prepared is not None:
            self._clean()
        if self.wish is not None:
            from ansible_collections.boring.lamp.plugins.module_utils.docroot import spare

            spare.finish(self.root, self.wish)

    def _clean(self) -> None:
        try:
            with locked(self.lock, self.lock_wait):
                if self._claimed() == self._token():
                    from ansible_collections.boring.lamp.plugins.module_utils.docroot import recycle

                    recycle.clean(self.root)
        except (BusyError, OSError):
            return  # the next run cleans up before it begins

    def _leave(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None

    # A session that ends late must not take away what another one prepared in the meantime.

    def _token(self) -> str:
        return f"{os.getpid()}.{id(self)} {self._prepared}"

    def _claim(self, generation: str) -> None:
        self._prepared = str(generation)
        with open(self._claim_file(), "w", encoding="utf-8") as file:
            file.write(self._token())

    def _claimed(self) -> str:
        with open(self._claim_file(), encoding="utf-8") as file:
            return file.read()

    def _claim_file(self) -> str:
        return os.path.join(os.path.dirname(self.lock), "prepared")


class Voice:
    """What the publisher hears: one line for each request, and empty ones as long as it waits for it."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self.write = write
        self.busy = False
        self.lock = threading.Lock()
        self.over = threading.Event()
        threading.Thread(target=self._live, daemon=True).start()

    def answer(self, text: str) -> None:
        with self.lock:
            self.busy = False
            self.write(text + "\n")

    def _live(self) -> None:
        while not self.over.wait(PULSE):
            with self.lock:
                if self.busy:
                    try:
                        self.write("\n")
                    except OSError:
                        return


def serve(session: Session, lines: Any, write: Callable[[str], Any]) -> None:
    """Until the publisher is gone."""
    voice = Voice(write)
    try:
        for line in lines:
            voice.busy = True
            try:
                request = json.loads(line)
            except ValueError as error:
                answer = {"error": f"refused: {error}"}
            else:
                answer = session.answer(request)
            try:
                voice.answer(json.dumps(answer))
            except BrokenPipeError:
                return
    finally:
        voice.over.set()
        if session.wish is not None:
            os.nice(NICE)
        session.close()
