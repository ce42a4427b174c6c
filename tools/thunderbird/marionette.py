"""Marionette, the protocol by which Mozilla's programs are driven, as far as these trials need it.

A frame is the length of a JSON text in decimal digits, a colon, and the text. The program speaks first; then a
command is [0, number, name, parameters] and its answer [1, number, error or null, result].
"""

import json
import socket

# The longest answer that is believed.
FRAME_BYTES_MAX = 16 << 20


class Refused(Exception):
    """The program says that a command failed."""


class Marionette:
    def __init__(self, port, seconds):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.seconds = seconds
        self.held = b""
        self.number = 0
        hello = self._frame()
        if hello.get("marionetteProtocol") != 3:
            raise Refused(f"speaks another protocol: {hello}")
        self.session = self.command("WebDriver:NewSession", {"capabilities": {}})
        self.command("Marionette:SetContext", {"value": "chrome"})
        self.command("WebDriver:SetTimeouts", {"script": int(seconds * 1000)})

    def command(self, name, parameters):
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, number, error, result = self._frame()
        if number != self.number:
            raise Refused(f"answered {number} where {self.number} was asked")
        if error:
            raise Refused(f"{name}: {error.get('message')}\n{error.get('stacktrace')}")
        return result

    def run(self, library, expression, *arguments):
        """The value of an expression that may await, in the program's own chrome, above a library of functions."""
        script = (
            library
            + "\nconst [...given] = arguments; const done = given.pop();\n"
            + f"(async (...args) => {expression})(...given)\n"
            + "  .then(value => done({ value }), error => done({ error: `${error}\\n${error?.stack ?? ''}` }));"
        )
        parameters = {"script": script, "args": list(arguments), "sandbox": "system", "newSandbox": True}
        answer = self.command("WebDriver:ExecuteAsyncScript", parameters)["value"]
        if "error" in answer:
            raise Refused(f"{expression}: {answer['error']}")
        return answer.get("value")

    def _frame(self):
        while b":" not in self.held[:12]:
            self._more()
        length, _, self.held = self.held.partition(b":")
        length = int(length)
        if length > FRAME_BYTES_MAX:
            raise Refused(f"an answer of {length} bytes")
        while len(self.held) < length:
            self._more()
        frame, self.held = self.held[:length], self.held[length:]
        return json.loads(frame)

    def _more(self):
        octets = self.socket.recv(65536)
        if not octets:
            raise Refused("closed the connection")
        self.held += octets
