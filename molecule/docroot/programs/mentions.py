"""mentions.py STOP: is a medium there whenever the code names it? Looks until STOP is there, then says."""

import os
import sys

SITE = "/srv/lamp/site/"
missing, seen = set(), set()


def live():
    return os.readlink(SITE + "current")


while not os.path.exists(sys.argv[1]):
    before = live()
    try:
        with open(f"{SITE}{before}/mention.txt", encoding="utf-8") as file:
            name = file.read()
    except FileNotFoundError:
        continue
    there = os.path.exists(f"{SITE}{before}/media/{name}")
    if live() == before:
        seen.add(name)
        if not there:
            missing.add(name)
print(sorted(seen), sorted(missing))
