"""Starts slicemetry-agent, which keeps the decision, the events and the network.

No function here raises, waits for the network or writes a file. record, count and
upload do not wait at all; the others wait for a program that takes milliseconds
and are called from a thread of their own.
"""

import json
import os
import shutil
import subprocess
import sys
import threading

from . import settings

# A pipe takes so much without a reader on every system that Cura runs on. What is
# longer is written from a thread. It is never shortened: which of many changed
# settings are sent is drawn once a week, by the agent, and must not be drawn twice.
AT_ONCE = 4096
MAX_RUNNING = 8  # agents at work at once; beyond that an event is let go
TIMEOUT = 20.0  # seconds, of what waits

_running = []


def path():
    """The agent beside this file, or the one in SLICEMETRY_AGENT, or in PATH."""
    name = "slicemetry-agent.exe" if sys.platform == "win32" else "slicemetry-agent"
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    if os.environ.get("SLICEMETRY_AGENT"):
        return os.environ["SLICEMETRY_AGENT"]
    return beside if os.path.exists(beside) else shutil.which(name)


def record(event):
    """Hands an event over. Returns whether an agent was started for it."""
    return _hand_over(event, "record", ("-format", "cura"))


def count(counters):
    """Hands telemetry.v1.UsageCounters over."""
    return _hand_over(counters, "count")


def upload():
    """Sends what is kept, if its time has come, and not in the next minutes."""
    _start(_command("upload", flags=["-wait"]), subprocess.DEVNULL)


def decision():
    """The decision in force: "unknown", "refused" or "granted", which rule made it,
    and whether there is something to ask. The state is "" without an agent."""
    answer = _object("consent", "status")
    return answer.get("state", ""), answer.get("rule", ""), answer.get("ask", False)


def notice():
    """A version of the privacy policy that is announced, and its first day, or None."""
    announced = _object("status").get("policy_notice")
    return (announced["version"], announced["effective"][:10]) if announced else None


def fields():
    """What can be sent, as a list of objects."""
    code, text = run("fields", flags=["-json"])
    try:
        return json.loads(text) if code == 0 else []
    except ValueError:
        return []


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


def _object(command, *names):
    code, text = run(command, *names, flags=["-json"])
    try:
        return json.loads(text) if code == 0 else {}
    except ValueError:
        return {}


def _hand_over(message, command, flags=()):
    try:
        line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("utf-8")
        process = _start(_command(command, flags=flags), subprocess.PIPE)
        if process is None:
            return False
        if len(line) <= AT_ONCE:
            _write(process.stdin, line)
        else:
            threading.Thread(target=_write, args=(process.stdin, line), name="slicemetry", daemon=True).start()
    except Exception:  # who calls this writes a user's print
        return False
    return True


def _write(pipe, line):
    try:
        with pipe:
            pipe.write(line)
    except OSError:
        pass  # it ended already: nobody agreed


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
    return [path(), command, "-endpoint", settings.ENDPOINT, "-policy", str(settings.POLICY), *settings.FLAGS, *flags, *names]


def _options():
    if sys.platform == "win32":  # no console window
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"close_fds": True}
