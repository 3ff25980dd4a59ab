"""The plug-in: asks once, shows what is kept and sent, and switches off."""

import threading

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QFileDialog, QPlainTextEdit
from UM.Application import Application
from UM.Extension import Extension
from UM.Logger import Logger
from UM.Message import Message

from . import agent, page, settings, watch

NOTICED = "slicemetry/noticed_policy"  # preference: the last version that was announced to the user


class Slicemetry(Extension):
    def __init__(self):
        super().__init__()
        if not settings.complete():
            Logger.log("i", "Slicemetry keeps silent: settings.py is not filled in")
            return
        self._application = Application.getInstance()
        self._application.getPreferences().addPreference(NOTICED, 0)
        self._watch = watch.Watch(self._application)
        self._question = None  # the message that is open
        self._closing_is_no = False
        self._windows = []
        self.setMenuName("Print statistics")
        self.addMenuItem("What can be sent", lambda: self._show("fields"))
        self.addMenuItem("What will be sent next", lambda: self._show("preview"))
        self.addMenuItem("What was sent last", lambda: self._show("sent"))
        self.addMenuItem("Save a copy of it", self.export)
        self.addMenuItem("Privacy policy", self._open_policy)
        self.addMenuItem("Erase what was sent", self.erase)
        self.addMenuItem("Agree or switch off", self.ask)
        self._application.visibleMessageRemoved.connect(self._closed)
        self._in_background(self._start)

    def _start(self):
        state, _, ask = agent.decision()
        self._watch.on = state == "granted"
        if ask:
            self._prepare(ask)
        elif self._watch.on:
            agent.upload()
            self._notify()

    def _notify(self):
        """Tells once of a change of the policy."""
        announced = agent.notice()
        preferences = self._application.getPreferences()
        if announced and announced[0] > int(preferences.getValue(NOTICED)):
            preferences.setValue(NOTICED, announced[0])
            self._say(page.NOTICE.format(version=announced[0], day=announced[1], url=settings.POLICY_URL))

    # The decision.

    def ask(self):
        """Asks, or where the user agreed offers to switch off."""
        def ask():
            state, _, nobody_decided = agent.decision()
            if state == "granted":
                self._application.callLater(self._offer_off)
            else:
                self._prepare(nobody_decided)
        self._in_background(ask)

    def _prepare(self, closing_is_no):
        fields = agent.fields()
        if fields:
            self._application.callLater(lambda: self._ask(page.question(fields), closing_is_no))
        else:
            self._say(page.NO_AGENT)

    def _ask(self, text, closing_is_no):
        """Shows the question, with two equal answers."""
        self._put(text, page.TITLE, self._answered, [("no", page.NO), ("yes", page.YES)],
                  [("fields", "What can be sent"), ("policy", "Privacy policy")])
        self._closing_is_no = closing_is_no

    def _offer_off(self):
        self._put(page.ON.format(operator=settings.OPERATOR), page.ON_TITLE, self._switched,
                  [("off", page.OFF_BUTTON), ("erase", page.ERASE_BUTTON), ("keep", page.KEEP_BUTTON)])

    def _put(self, text, title, answered, answers, links=()):
        """Puts a message in the place of the one that is open."""
        self._take()
        self._question = Message(text, title=title, lifetime=0, dismissable=True)
        for style, actions in (("SECONDARY", answers), ("LINK", links)):
            for action, name in actions:
                self._question.addAction(action, name, "", "", button_style=Message.ActionButtonStyle[style])
        self._question.actionTriggered.connect(answered)
        self._question.show()

    def _take(self):
        """Takes the open message away, which is no answer."""
        message, self._question, self._closing_is_no = self._question, None, False
        if message:
            message.hide()

    def _answered(self, message, action):
        if action == "fields":
            self._show("fields")
        elif action == "policy":
            self._open_policy()
        elif message is self._question:  # the first answer counts
            self._take()
            self._in_background(self._agree if action == "yes" else self._refuse)

    def _switched(self, message, action):
        if message is self._question:
            self._take()
            if action != "keep":
                self._in_background(self._refuse if action == "off" else self._erase_and_refuse)

    def _closed(self, message):
        """A question that is closed is answered with no, where nobody answered yet:
        it is asked once."""
        if message is self._question:
            refused, self._question, self._closing_is_no = self._closing_is_no, None, False
            if refused:
                self._in_background(self._refuse)

    def _agree(self):
        code, _ = agent.run("consent", "grant")
        state, rule, _ = agent.decision()
        self._watch.on = state == "granted"
        self._say({0: page.THANKS, 3: page.NOT_ON.format(rule=rule), None: page.NO_AGENT}.get(code, page.FAILED))

    def _refuse(self):
        self._watch.on = False
        code, _ = agent.run("consent", "refuse")
        self._application.callLater(self._close_windows)
        self._say({0: page.OFF, None: page.NO_AGENT}.get(code, page.FAILED))

    def _erase_and_refuse(self):
        if self._erase():
            self._refuse()

    # A user's rights.

    def erase(self):
        self._in_background(self._erase)

    def _erase(self):
        code, text = agent.run("erase")
        self._say({0: page.ERASED + text, None: page.NO_AGENT}.get(code, page.OFFLINE))
        return code == 0

    def export(self):
        """Writes what is held where the user says, and nowhere else."""
        name, _ = QFileDialog.getSaveFileName(None, "Save a copy of it", "print-statistics.csv", "CSV (*.csv)")
        if name:
            self._in_background(lambda: self._export(name))

    def _export(self, name):
        code, text = agent.run("export", flags=["-format", "csv"])
        try:
            if code == 0:
                with open(name, "w", encoding="utf-8", newline="") as f:
                    f.write(text)
        except OSError:
            code = 1
        self._say({0: page.SAVED, None: page.NO_AGENT}.get(code, page.FAILED))

    def _open_policy(self):
        QDesktopServices.openUrl(QUrl(settings.POLICY_URL))

    def _show(self, command):
        """Shows what the agent prints, in a window: a file would outlive a withdrawal."""
        def show():
            code, text = agent.run(command)
            if code is None or not text:
                self._say(page.NO_AGENT)
            else:
                self._application.callLater(lambda: self._open_window(text))
        self._in_background(show)

    def _open_window(self, text):
        self._windows = [w for w in self._windows if w.isVisible()]
        window = QPlainTextEdit(text)
        window.setWindowTitle("Print statistics")
        window.setReadOnly(True)
        window.resize(800, 600)
        window.show()
        self._windows.append(window)

    def _close_windows(self):
        for window in self._windows:
            window.close()
        self._windows = []

    def _say(self, text):
        self._application.callLater(lambda: Message(text, title="Print statistics", lifetime=30).show())

    def _in_background(self, work):
        threading.Thread(target=work, name="slicemetry", daemon=True).start()
