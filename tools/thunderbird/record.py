#!/usr/bin/env python3
"""Records what Thunderbird really asks when it looks for settings, into the captured requests of the web's tests.

Usage: record.py [FOLDER]        (crates/web/tests/requests)

Everything that it asks over HTTPS and HTTP is answered by 404, so that it tries all of its places. In each file
that stands for one of them the request behind the first empty line is replaced, and the line that says which
version made it; the rules for the answer are people's work and stay. Only HTTP/1.1 is offered: what Thunderbird
sends over HTTP/2 are the same fields in another form.
"""

import pathlib
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from thunderbird import Thunderbird

FOLDER = pathlib.Path(__file__).parents[2] / "crates/web/tests/requests"
DOMAIN = "example.test"
ADDRESS = "ann@example.test"
# All of it must have been asked by then.
SECONDS = 60
# The longest request that is read.
REQUEST_BYTES_MAX = 1 << 16

AUTOCONFIG = "/mail/config-v1.1.xml"
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"
AUTODISCOVER = "/autodiscover/autodiscover.xml"
# Scheme, host and path of each place, and its file.
PLACES = {
    ("https", f"autoconfig.{DOMAIN}", AUTOCONFIG): "thunderbird-autoconfig-https",
    ("http", f"autoconfig.{DOMAIN}", AUTOCONFIG): "thunderbird-autoconfig-http",
    ("https", DOMAIN, WELL_KNOWN): "thunderbird-wellknown-https",
    ("http", DOMAIN, WELL_KNOWN): "thunderbird-wellknown-http",
    ("https", f"autodiscover.{DOMAIN}", AUTODISCOVER): "thunderbird-autodiscover-https",
    ("https", DOMAIN, AUTODISCOVER): "thunderbird-autodiscover-domain",
    ("http", f"autodiscover.{DOMAIN}", AUTODISCOVER): "thunderbird-autodiscover-http",
}
MADE_BY = "# Captured from "


class Recorder(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, scheme, context, seen):
        super().__init__(("127.0.0.1", 0), Answer)
        self.scheme, self.context, self.seen = scheme, context, seen
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def port(self):
        return self.server_address[1]


class Answer(socketserver.BaseRequestHandler):
    """Reads one request, keeps it, says 404 and closes."""

    def handle(self):
        connection = self.request
        connection.settimeout(SECONDS)
        try:
            if self.server.context:
                connection = self.server.context.wrap_socket(connection, server_side=True)
            octets = read(connection)
        except OSError:
            # A connection that was opened to have it ready and was not used, or a guess at another protocol.
            return
        if octets:
            self.server.seen.append((self.server.scheme, octets))
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()


def read(connection):
    octets = b""
    while b"\r\n\r\n" not in octets and len(octets) < REQUEST_BYTES_MAX:
        more = connection.recv(4096)
        if not more:
            return b""
        octets += more
    head, _, body = octets.partition(b"\r\n\r\n")
    length = int(field(head, "content-length") or 0)
    while len(body) < min(length, REQUEST_BYTES_MAX):
        body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


def field(head, name):
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return None


def place(scheme, octets):
    head = octets.partition(b"\r\n\r\n")[0]
    path = head.split(b" ")[1].decode("latin-1").partition("?")[0]
    return PLACES.get((scheme, field(head, "host"), path))


def certificate(folder):
    """A server's certificate for all names of the domain, and the authority that vouches for it."""
    names = ",".join(f"DNS:{name}" for name in sorted({host for _, host, _ in PLACES}))
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    authority = ["-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"]
    server = ["-subj", "/CN=recorder", "-keyout", "key.pem", "-out", "chain.pem", "-CA", "ca.pem", "-CAkey", "ca.key"]
    server += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName={names}"]
    for more in authority, server:
        made = subprocess.run([*new, *more], cwd=folder, capture_output=True, text=True)
        if made.returncode != 0:
            sys.exit(f"openssl: {made.stderr}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return context, (folder / "ca.pem").read_text()


def write(file, version, octets):
    rules = file.read_text().partition("\n\n")[0].splitlines()
    rules = [line for line in rules if not line.startswith(MADE_BY)]
    notes = [line for line in rules if line.startswith("#")]
    rest = [line for line in rules if not line.startswith("#")]
    made = f"{MADE_BY}{version} by tools/thunderbird/record.py."
    head, _, body = octets.decode("utf-8").partition("\r\n\r\n")
    text = "\n".join([*notes, made, *rest]) + "\n\n" + head.replace("\r\n", "\n") + "\n"
    if body:
        text += "\n" + body + "\n"
    file.write_text(text)


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    seen = []
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        context, pem = certificate(temporary)
        https, http = Recorder("https", context, seen), Recorder("http", None, seen)
        ports = {443: https.port(), 80: http.port()}
        with Thunderbird(temporary / "run", DOMAIN, ports, SECONDS) as bird:
            version = f"{bird.run('version()')} (Linux)"
            bird.run("trust(args[0])", pem)
            bird.run("ask('Ann Example', args[0])", ADDRESS)
            end = time.monotonic() + SECONDS
            while {place(*request) for request in seen} - {None} != set(PLACES.values()):
                if time.monotonic() > end:
                    break
                time.sleep(0.1)
    asked = {}
    for scheme, octets in seen:
        name = place(scheme, octets)
        if name is None:
            print(f"no file for this request over {scheme}:\n{octets.decode('latin-1')}", file=sys.stderr)
        else:
            asked.setdefault(name, octets)
    for name, octets in asked.items():
        write(folder / f"{name}.http", version, octets)
        print(f"{name}: {version}")
    missing = sorted(set(PLACES.values()) - set(asked))
    if missing:
        sys.exit(f"not asked for: {', '.join(missing)}")


if __name__ == "__main__":
    main()
