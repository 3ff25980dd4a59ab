"""The plug-in: asks once, and records what is written out if the answer is yes."""

import tempfile
import threading

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QDesktopServices
from UM.Application import Application
from UM.Extension import Extension
from UM.Logger import Logger
from UM.Message import Message
from UM.Scene.Iterator.DepthFirstIterator import DepthFirstIterator

from . import agent, job, page

# These say on success that they wrote; others only say that they finished.
SAYS_SUCCESS = ("LocalFileOutputDevice", "RemovableDriveOutputDevice")


class Slicemetry(Extension):
    def __init__(self):
        super().__init__()
        self._application = Application.getInstance()
        self._pending = {}  # device -> the event of what it writes now
        self._message = None
        self.setMenuName("Print statistics")
        self.addMenuItem("What can be sent", lambda: self._show("fields"))
        self.addMenuItem("What will be sent next", lambda: self._show("preview"))
        self.addMenuItem("What was sent last", lambda: self._show("sent"))
        self.addMenuItem("Erase what was sent", self.erase)
        self.addMenuItem("Agree or switch off", self.ask)
        self._application.visibleMessageRemoved.connect(self._closed)
        devices = self._application.getOutputDeviceManager()
        devices.writeStarted.connect(self._started)
        devices.writeSuccess.connect(self._succeeded)
        devices.writeFinished.connect(self._finished)
        devices.writeError.connect(self._failed)
        self._in_background(self._start)

    def _start(self):
        state, _ = agent.decision()
        if state == "unknown":
            self._application.callLater(self.ask)
        elif state == "granted":
            agent.upload()

    # What is written out. Nothing here waits, and nothing may stop a user's print.

    def _started(self, device):
        try:
            self._pending[device] = job.describe(self._application, device, DepthFirstIterator)
        except Exception:
            Logger.logException("w", "Slicemetry could not read the job")

    def _succeeded(self, device):
        event = self._pending.pop(device, None)
        if event:
            agent.record(event)

    def _finished(self, device=None):
        if type(device).__name__ not in SAYS_SUCCESS:
            self._succeeded(device)

    def _failed(self, device=None):
        self._pending.pop(device, None)

    # The decision.

    def ask(self):
        """Shows the question, with two equal answers."""
        self._message = Message(page.TEXT, title=page.TITLE, lifetime=0, dismissable=True)
        style = Message.ActionButtonStyle.SECONDARY
        self._message.addAction("no", page.NO, "", "", button_style=style)
        self._message.addAction("yes", page.YES, "", "", button_style=style)
        self._message.addAction("fields", "What can be sent", "", "", button_style=Message.ActionButtonStyle.LINK)
        self._message.actionTriggered.connect(self._answered)
        self._message.show()

    def _answered(self, message, action):
        if action == "fields":
            self._show("fields")
        else:
            self._settle(message, action == "yes")

    def _closed(self, message):
        """A question that is closed is answered with no; it is asked once."""
        self._settle(message, False)

    def _settle(self, message, yes):
        if message is not self._message:
            return
        self._message = None  # the first answer counts
        message.hide()
        self._decide(yes)

    def _decide(self, yes):
        def decide():
            code, _ = agent.run("consent", "grant" if yes else "refuse")
            self._say({0: page.THANKS if yes else page.OFF, None: page.NO_AGENT}.get(code, page.FAILED))
        self._in_background(decide)

    # A user's rights.

    def erase(self):
        def erase():
            code, text = agent.run("erase")
            self._say({0: page.ERASED + text, None: page.NO_AGENT}.get(code, page.OFFLINE))
        self._in_background(erase)

    def _show(self, command):
        """Opens what the agent prints as a text."""
        def show():
            code, text = agent.run(command)
            if code is None or not text:
                self._say(page.NO_AGENT)
                return
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="slicemetry-", suffix=".txt", delete=False) as f:
                f.write(text)
            self._application.callLater(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(f.name)))
        self._in_background(show)

    def _say(self, text):
        self._application.callLater(lambda: Message(text, title="Print statistics", lifetime=30).show())

    def _in_background(self, work):
        threading.Thread(target=work, name="slicemetry", daemon=True).start()
