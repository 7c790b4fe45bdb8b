"""kill_when.py MOMENT COMMAND...: start the command and kill it at that moment, without a warning.

Says the moment's name if it came before the command ended.
"""

import glob
import json
import os
import signal
import subprocess
import sys
import time

GENERATIONS = "/srv/lamp/site/generations/"
STATE = glob.glob("/var/lib/lamp/docroot/publisher/*/state.json")[0]


def decided():
    try:
        with open(STATE, encoding="utf-8") as file:
            return json.load(file).get("since")
    except ValueError:
        return before


def link():
    return os.readlink("/srv/lamp/site/current")


before, shown, there = decided(), link(), set(glob.glob(GENERATIONS + "2*"))
moment = {
    "connected": lambda: glob.glob("/run/lamp/docroot/ssh-*"),
    "prepared": lambda: glob.glob(GENERATIONS + "incoming.*"),
    "copying": lambda: glob.glob(GENERATIONS + "incoming.*/.large.bin.*"),
    "sealed": lambda: set(glob.glob(GENERATIONS + "2*")) - there,
    "decided": lambda: decided() != before,
    "switched": lambda: link() != shown,
}[sys.argv[1]]
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until = time.monotonic() + 60
while process.poll() is None and time.monotonic() < until:
    if moment():
        os.kill(process.pid, signal.SIGKILL)
        print(sys.argv[1])
        break
process.wait()
