"""Starts Debian's Thunderbird in a virtual display with a profile of its own, and ends it.

Nothing of it reaches further than this machine: the names of the service are resolved to loopback, the
ports that its look-ups use are turned to those of the service, and everything that would call home is off.
What asks the system's resolver for records other than addresses (MX, SRV) cannot be turned; it waits a second at most.
"""

import os
import pathlib
import subprocess
import time

from marionette import Marionette

HERE = pathlib.Path(__file__).parent
PROGRAM = "thunderbird"
# How long Thunderbird may take to listen.
START_SECONDS = 60

QUIET = {
    "app.donation.eoy.version.viewed": 999,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.blocklist.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "mail.compose.default_to_paragraph": False,
    "mail.inappnotifications.enabled": False,
    "mail.instrumentation.postUrl": "",
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.proxy.type": 0,
    "network.trr.mode": 5,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
}


class Thunderbird:
    """A running Thunderbird; `ports` turns ports that it would use to others, as {443: 10443}."""

    def __init__(self, folder, domain, ports, seconds):
        self.folder = pathlib.Path(folder).resolve()
        self.children = []
        self.seconds = seconds
        profile = self.folder / "profile"
        profile.mkdir(parents=True)
        labels = ["autoconfig.", "autodiscover.", "mail.", ""]
        prefs = QUIET | {
            # Marionette chooses a port and writes it into the profile.
            "marionette.port": 0,
            "network.dns.localDomains": ",".join(label + domain for label in labels),
            "network.socket.forcePort": ";".join(f"{old}={new}" for old, new in ports.items()),
            # In place of the database of providers: an address where nobody listens.
            "mailnews.auto_config_url": "http://127.0.0.1:9/",
            "mailnews.mx_service_url": "",
            "mailnews.auto_config.addons_url": "http://127.0.0.1:9/",
        }
        lines = [f"user_pref({text(name)}, {text(value)});\n" for name, value in prefs.items()]
        (profile / "user.js").write_text("".join(lines))
        try:
            self.display = self._display()
            self.marionette = self._start(profile)
        except BaseException:
            self.end()
            raise

    def run(self, expression, *arguments):
        library = (HERE / "account.js").read_text()
        return self.marionette.run(library, expression, *arguments)

    def end(self):
        # In turn, so that Thunderbird does not complain of a lost display.
        for child in reversed(self.children):
            child.kill()
            child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def _display(self):
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
        self._spawn(command, "xvfb.log", pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise RuntimeError(f"Xvfb does not start: {(self.folder / 'xvfb.log').read_text()}")
        return f":{number}"

    def _start(self, profile):
        home = self.folder / "home"
        home.mkdir()
        environment = {
            "DISPLAY": self.display,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "MOZ_CRASHREPORTER_DISABLE": "1",
            "PATH": os.environ["PATH"],
            "RES_OPTIONS": "timeout:1 attempts:1",
            "TMPDIR": str(home),
        }
        arguments = ["--marionette", "-remote-allow-system-access", "--no-remote", "--profile", str(profile)]
        child = self._spawn([PROGRAM, *arguments], "thunderbird.log", env=environment)
        port_file = profile / "MarionetteActivePort"
        end = time.monotonic() + START_SECONDS
        while not (port_file.exists() and port_file.read_text().strip()):
            if child.poll() is not None or time.monotonic() > end:
                log = (self.folder / "thunderbird.log").read_text()
                raise RuntimeError(f"Thunderbird does not start: {log}")
            time.sleep(0.05)
        return Marionette(int(port_file.read_text()), self.seconds)

    def _spawn(self, command, log, **how):
        # setpriv ends the child with us, however we end.
        with open(self.folder / log, "wb") as out:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **how,
            )
        self.children.append(child)
        return child


def text(value):
    """A value as JavaScript writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
