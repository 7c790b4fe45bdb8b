"""torn.py FILE TRIGGER: rewrite FILE in place, slowly, as soon as something matches TRIGGER; then hold still.

Every version consists of one letter only, so that a mixture of two shows.
"""

import glob
import os
import sys
import time

path, trigger = sys.argv[1:]
SIZE, BLOCK = 40_000_000, 1_000_000
if not os.path.exists(path):
    with open(path, "wb") as file:
        file.write(b"A" * SIZE)
    print("written")
    sys.exit()
until = time.monotonic() + 30
while not glob.glob(trigger) and time.monotonic() < until:
    time.sleep(0.002)
for letter in (b"B", b"C"):
    with open(path, "r+b") as file:
        for _ in range(SIZE // BLOCK):
            file.write(letter * BLOCK)
            file.flush()
            time.sleep(0.02)
