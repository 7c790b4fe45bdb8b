# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed this server: go on where an earlier run ended, or choose a way and begin."""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.seed import backup, clone, disk, dump
from ansible_collections.boring.lamp.plugins.module_utils.seed.choose import Choice, ChoiceError, choose
from ansible_collections.boring.lamp.plugins.module_utils.seed.frames import FrameError
from ansible_collections.boring.lamp.plugins.module_utils.seed.job import Done, Job
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import FAILED, POSITIONED
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError
from ansible_collections.boring.lamp.plugins.module_utils.seed.receive import Offer


def seed(job: Job, source_version: str) -> Done:
    """A copy of the primary that knows its position and follows nobody yet."""
    said = job.note.read()
    if backup.usable(job, said):
        return backup.install(job, said)
    whole = said.get("method") in ("clone", "dump") and said["phase"] == POSITIONED
    if whole and said["source"] == job.wishes.source:
        return Done(said["method"], said["why"], int(said["bytes"]))
    choice, offer = offered(job, source_version)
    if choice.method == "clone":
        return clone.copy(job, choice)
    if offer is None:
        if said:
            # It may be down, with the whole old data or with half a dump.
            job.start()
        return dump.load(job, choice)
    try:
        said = backup.receive(job, choice, offer)
    finally:
        offer.close()
    return backup.install(job, said)


def offered(job: Job, source_version: str) -> tuple[Choice, Offer | None]:
    """The way and, where files will be streamed, the open connection."""
    offer, obstacle = None, ""
    if job.wishes.seed != "dump":
        offer, obstacle = _ask(job, source_version)
    try:
        tool = offer.program if offer else ""
        way = choose(job.wishes.seed, job.words.physical, job.version(), source_version, tool, obstacle)
    except ChoiceError as error:
        _close(offer)
        raise SeedError(str(error)) from None
    if way.method != "backup":
        _close(offer)
        offer = None
    return way, offer


def _ask(job: Job, source_version: str) -> tuple[Offer | None, str]:
    if job.words.physical == "clone":
        return None, clone.fits(job.version(), source_version) or clone.obstacle(job)
    if not job.donor.cert:
        return None, "no certificate to show to a donor (client_cert, client_key)"
    try:
        offer = Offer(job.donor)
    except (OSError, FrameError) as error:
        return None, f"the donor at {job.donor.host}:{job.donor.port} gives nothing: {error}"
    obstacle = disk.obstacle(job.data, offer.total)
    if obstacle:
        offer.close()
        return None, obstacle
    return offer, ""


def _close(offer: Offer | None) -> None:
    if offer is not None:
        offer.close()


def useless(job: Job) -> None:
    """The copy can't be followed up: the next run makes a new one."""
    said = job.note.read()
    if said:
        job.note.write(**{**said, "phase": FAILED})


def finish(job: Job) -> None:
    """The copy is at work: what was here before goes."""
    for place in disk.beside(job.data):
        disk.remove(place)
    job.note.remove()
    job.progress.end()
