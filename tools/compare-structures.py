#!/usr/bin/env python3
"""Compares ENVELOPE and BODYSTRUCTURE of messages with those of Dovecot (2.3, as Debian packages it).

usage: tools/compare-structures.py DIRECTORY

Every .eml and .txt file below DIRECTORY is taken as a message. Dovecot's imap is started by itself, without a login, over a
mailbox in a temporary directory; our answers come from the example `structures` of crates/proto. Differences are printed, the last line
counts. Letter case of types, encodings and names of parameters means nothing and is not compared.
"""

import os
import subprocess
import sys
import tempfile
import threading

IMAP = "/usr/lib/dovecot/imap"


def with_crlf(message):
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Reader:
    """Elements of IMAP: lists, strings as bytes, NIL as None, atoms as str."""

    def __init__(self, octets):
        self.octets, self.at = octets, 0

    def element(self):
        octets = self.octets
        while octets[self.at : self.at + 1] == b" ":
            self.at += 1
        first = octets[self.at : self.at + 1]
        if first == b"(":
            self.at += 1
            items = []
            while True:
                while octets[self.at : self.at + 1] == b" ":
                    self.at += 1
                if octets[self.at : self.at + 1] == b")":
                    self.at += 1
                    return items
                items.append(self.element())
        if first == b'"':
            self.at += 1
            text = bytearray()
            while octets[self.at] != 0x22:
                self.at += octets[self.at] == 0x5C
                text.append(octets[self.at])
                self.at += 1
            self.at += 1
            return bytes(text)
        if first == b"{":
            close = octets.index(b"}", self.at)
            size = int(octets[self.at + 1 : close])
            self.at = close + 3 + size
            return octets[close + 3 : self.at]
        start = self.at
        while octets[self.at : self.at + 1] not in (b" ", b")", b"(", b"\r", b""):
            self.at += 1
        atom = octets[start : self.at].decode()
        return None if atom == "NIL" else atom


def dovecot(messages):
    with tempfile.TemporaryDirectory() as root:
        # Dovecot reads no mail as root.
        user, group = (65534, 65534) if os.getuid() == 0 else (os.getuid(), os.getgid())
        os.chown(root, user, group)
        config = os.path.join(root, "dovecot.conf")
        with open(config, "w") as out:
            out.write(
                f"base_dir = {root}/run\nstate_dir = {root}/state\nlog_path = {root}/log\nprotocols = imap\nssl = no\n"
                f"mail_location = sdbox:{root}/mail\nfirst_valid_uid = 0\nfirst_valid_gid = 0\n"
                f"mail_uid = {user}\nmail_gid = {group}\n"
                "service stats {\n  unix_listener stats-writer {\n    mode = 0\n  }\n}\n"
            )
        said = b""
        for at, message in enumerate(messages):
            said += b"a%d APPEND INBOX {%d+}\r\n%s\r\n" % (at, len(message), message)
        said += b"s SELECT INBOX\r\nf FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\n"
        process = subprocess.Popen(
            [IMAP, "-c", config],
            env={**os.environ, "USER": "tester", "HOME": root},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **({"user": user, "group": group, "extra_groups": []} if os.getuid() == 0 else {}),
        )
        # At the end of its input it would stop in the middle of the answer.
        threading.Thread(target=lambda: (process.stdin.write(said), process.stdin.flush()), daemon=True).start()
        answer = b""
        while b"\r\nf OK " not in answer[-500:]:
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                sys.exit(f"Dovecot stopped: {answer[-400:]!r}")
            answer += piece
        process.stdin.close()
        process.wait()
        found, rest = {}, answer
        for at in range(1, len(messages) + 1):
            start = rest.find(b"\r\n* %d FETCH (" % at)
            if start < 0:
                sys.exit(f"Dovecot has no answer for message {at}: {rest[-400:]!r}")
            rest = rest[start + 2 :]
            reader = Reader(rest)
            reader.at = rest.index(b"(")
            _, envelope, _, structure = reader.element()
            rest = rest[reader.at :]
            found[at - 1] = [envelope, structure]
        return [found[at] for at in range(len(messages))]


def ours(paths):
    command = ["cargo", "run", "-q", "-p", "sealpost-proto", "--example", "structures", "--"]
    octets = subprocess.run(command + paths, check=True, stdout=subprocess.PIPE).stdout
    reader, found = Reader(octets), []
    for _ in paths:
        reader.at = octets.index(b"* (", reader.at) + 2
        found.append(reader.element())
    return found


def folded(element):
    if isinstance(element, list):
        return [folded(item) for item in element]
    return element.lower() if isinstance(element, bytes) else element


def differences(mine, other, where):
    if isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for at, (a, b) in enumerate(zip(mine, other)):
            yield from differences(a, b, f"{where}.{at}")
    elif folded(mine) != folded(other):
        yield f"  {where}\n    ours    {mine!r}\n    Dovecot {other!r}"


def main():
    paths = []
    for directory, _, files in os.walk(sys.argv[1]):
        paths += [os.path.join(directory, name) for name in files if name.endswith((".eml", ".txt"))]
    paths.sort()
    # Dovecot's APPEND and ours refuse what holds NUL; an empty file is no message.
    messages = {path: with_crlf(open(path, "rb").read()) for path in paths}
    paths = [path for path in paths if messages[path] and b"\0" not in messages[path]]
    with tempfile.TemporaryDirectory() as root:
        copies = []
        for at, path in enumerate(paths):
            copies.append(os.path.join(root, str(at)))
            with open(copies[-1], "wb") as out:
                out.write(messages[path])
        mine = ours(copies)
    theirs = dovecot([messages[path] for path in paths])
    equal = 0
    for path, a, b in zip(paths, mine, theirs):
        found = list(differences(a[0], b[0], "ENVELOPE")) + list(differences(a[1], b[1], "BODYSTRUCTURE"))
        equal += not found
        if found:
            print(path)
            print("\n".join(found))
    print(f"{equal} of {len(paths)} are equal")


main()
