#!/usr/bin/env python3
"""Lets Thunderbird set an account up by itself, fetch a message and send one; prints what it found as JSON.

Usage: set_up.py --ca FILE --domain DOMAIN --https PORT --http PORT --address ADDRESS --fetch SUBJECT --send SUBJECT --folder DIR

The password is read from standard input. `--fetch` is the subject of a message that waits in the inbox;
`--send` of one that is sent to the address itself. Logs and profile are left in the folder.
"""

import argparse
import json
import pathlib
import sys
import threading
import time

from thunderbird import Thunderbird

# The whole of it; what takes longer is given up.
SECONDS = 110


def main():
    parser = argparse.ArgumentParser()
    for name in ["ca", "domain", "https", "http", "address", "fetch", "send", "folder"]:
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    password = sys.stdin.readline().rstrip("\n")
    begin = time.monotonic()
    told = {"seconds": {}}

    def mark(what):
        told["seconds"][what] = round(time.monotonic() - begin, 1)

    ports = {443: given.https, 80: given.http}
    with Thunderbird(given.folder, given.domain, ports, SECONDS) as bird:
        # A Thunderbird that hangs answers nothing; once it is ended, neither do we wait.
        limit = threading.Timer(SECONDS - (time.monotonic() - begin), bird.end)
        limit.daemon = True
        limit.start()
        mark("started")
        bird.run("trust(args[0])", pathlib.Path(given.ca).read_text())
        told["version"] = bird.run("version()")
        bird.run("ask('Ann Example', args[0])", given.address)
        told["found"] = bird.run("found()")
        mark("found")
        told["made"] = bird.run("make(args[0])", password)
        told["settings"] = bird.run("settings()")
        mark("made")
        told["fetched"] = bird.run("read('Inbox', args[0])", given.fetch)
        mark("fetched")
        bird.run("send(args[0], args[1], 'Sent by Thunderbird.\\r\\n')", given.address, given.send)
        told["received"] = bird.run("read('Inbox', args[0])", given.send)
        told["kept"] = bird.run("read('SentMail', args[0])", given.send)
        mark("sent")
        limit.cancel()
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
