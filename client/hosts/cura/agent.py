"""Starts slicemetry-agent, which keeps the decision, the events and the network.

No function here raises, waits for the network or writes a file. record and
upload do not wait at all; the others wait for a program that takes milliseconds
and are called from a thread of their own or after a click.
"""

import json
import os
import shutil
import subprocess
import sys

# A pipe takes so much without a reader on every system that Cura runs on, so
# that writing to it never waits for the agent.
MAX_EVENT = 4096
MAX_RUNNING = 8  # agents at work at once; beyond that an event is let go
TIMEOUT = 20.0  # seconds, of what waits

CONSENT_VERSION = 1  # of the privacy policy that this plug-in shows

_running = []


def path():
    """The agent beside this file, or the one in SLICEMETRY_AGENT, or in PATH."""
    name = "slicemetry-agent.exe" if sys.platform == "win32" else "slicemetry-agent"
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    if os.environ.get("SLICEMETRY_AGENT"):
        return os.environ["SLICEMETRY_AGENT"]
    return beside if os.path.exists(beside) else shutil.which(name)


def record(event):
    """Hands an event over. Returns whether an agent took it."""
    line = json.dumps(event, separators=(",", ":")).encode("utf-8")
    if len(line) > MAX_EVENT:
        return False
    process = _start(_command("record", flags=["-format", "cura"]), subprocess.PIPE)
    if process is None:
        return False
    try:
        process.stdin.write(line)
        process.stdin.close()
    except OSError:  # it ended already: nobody agreed
        return False
    return True


def upload():
    """Sends what is kept, if its time has come."""
    _start(_command("upload"), subprocess.DEVNULL)


def decision():
    """The decision in force: "unknown", "refused" or "granted", and who made it."""
    code, text = run("consent", "status", flags=["-json"])
    try:
        answer = json.loads(text) if code == 0 else {}
    except ValueError:
        answer = {}
    return answer.get("state", ""), answer.get("rule", "")


def run(command, *names, flags=()):
    """Runs a command to its end. Returns its exit code, None where there is no
    agent, and what it printed."""
    try:
        done = subprocess.run(_command(command, names, flags), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT, **_options())
    except (OSError, TypeError, subprocess.SubprocessError):
        return None, ""
    return done.returncode, done.stdout.decode("utf-8", "replace")


def wait():
    """Waits for the agents that were started. For tests."""
    while _running:
        _running.pop().wait()


def _start(command, stdin):
    _running[:] = [p for p in _running if p.poll() is None]
    if len(_running) >= MAX_RUNNING:
        return None
    try:
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **_options())
    except (OSError, TypeError, subprocess.SubprocessError):
        return None
    _running.append(process)
    return process


def _command(command, names=(), flags=()):
    return [path(), command, "-policy", str(CONSENT_VERSION), *flags, *names]


def _options():
    if sys.platform == "win32":  # no console window
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"close_fds": True}
