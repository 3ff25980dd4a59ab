"""Runs the plug-in in a stand-in for Cura, with the real slicemetry-agent, which
SLICEMETRY_AGENT names. The Go test beside this folder starts it, then looks at
what a collector received. SLICEMETRY_DIR is the folder of the last test's
decision and events."""

import json
import os
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "standin"), os.path.join(HERE, "..", "..")]

import slicer  # noqa: E402
from PyQt6.QtGui import QDesktopServices  # noqa: E402
from PyQt6.QtWidgets import QFileDialog, QPlainTextEdit  # noqa: E402
from UM.Logger import Logger  # noqa: E402
from UM.Message import Message  # noqa: E402
from cura import agent, job, page, register, settings  # noqa: E402


class PluginTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        environment = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(environment)))
        os.environ["SLICEMETRY_DIR"] = os.path.join(self.folder, "state")
        os.environ["TMPDIR"] = tempfile.tempdir = os.path.join(self.folder, "temporary")
        os.mkdir(tempfile.tempdir)
        self.addCleanup(setattr, tempfile, "tempdir", None)
        settings.ENDPOINT = os.environ.pop("SLICEMETRY_ENDPOINT", settings.ENDPOINT) or "127.0.0.1:1"
        settings.OPERATOR, settings.CONTACT, settings.POLICY_URL = "Example Org", "privacy@example.org", "https://example.org/privacy"
        settings.POLICY = 1
        for list_ in (Message.shown, Message.visible, Logger.logged, QPlainTextEdit.opened, QDesktopServices.opened):
            list_.clear()
        self.complaints = []

    def tearDown(self):
        self.settle()
        self.assertEqual(Logger.logged, self.complaints)

    def start(self):
        self.slicer = slicer.Slicer()
        self.plugin = register(self.slicer)["extension"]
        self.settle()

    def settle(self):
        """Lets the plug-in's threads and agents end."""
        while True:
            threads = [t for t in threading.enumerate() if t.name == "slicemetry"]
            for thread in threads:
                thread.join()
            agent.wait()
            if not threads and not self.slicer.later:
                return
            self.slicer.run_later()

    def message(self, title):
        [message] = [m for m in Message.visible if m.title == title]
        return message

    def question(self):
        return self.message(page.TITLE)

    def status(self):
        _, text = agent.run("status", flags=["-json"])
        return json.loads(text)

    def waiting(self):
        return self.status()["spool_events"]

    def write(self, device=None, **how):
        device = device or slicer.LocalFileOutputDevice(self.folder)
        device.write(self.slicer, **how)
        self.settle()
        return device

    def click(self, message, action):
        message.click(action)
        self.settle()

    def choose(self, item):
        self.plugin.items[item]()
        self.settle()

    def agree(self):
        self.start()
        self.click(self.question(), "yes")
        self.assertEqual(agent.decision(), ("granted", "user", False))

    def held(self):
        """What was recorded and is held, each an event."""
        _, text = agent.run("export")
        return [json.loads(line)["event"] for line in text.splitlines()]

    # The decision.

    def test_silent_until_filled_in(self):
        for name in ("ENDPOINT", "OPERATOR", "CONTACT", "POLICY_URL"):
            before = getattr(settings, name)
            setattr(settings, name, "")
            self.start()
            self.write()
            self.assertEqual((Message.shown, self.plugin.items), ([], {}))
            setattr(settings, name, before)
        self.assertFalse(os.path.exists(os.environ["SLICEMETRY_DIR"]))

    def test_as_it_is_shipped_it_is_not_filled_in(self):
        with open(settings.__file__, encoding="utf-8") as f:
            shipped = {}
            exec(f.read(), shipped)
        self.assertFalse(shipped["complete"]())
        self.start()

    def test_nothing_before_an_answer(self):
        self.start()
        self.write()
        self.slicer.getBackend().slice(3)
        self.settle()
        self.assertFalse(os.path.exists(os.environ["SLICEMETRY_DIR"]))

    def test_two_equal_answers(self):
        self.start()
        message = self.question()
        (yes, yes_style), (no, no_style) = message.actions["yes"], message.actions["no"]
        self.assertEqual(yes_style, no_style)
        self.assertLess(abs(len(yes) - len(no)), 5)
        self.assertEqual(message.lifetime, 0)
        self.assertTrue(message.dismissable)
        self.assertEqual(agent.decision()[0], "unknown")

    def test_the_question_leaves_nothing_out(self):
        self.start()
        text = self.question().text
        for field in agent.fields():
            if field["purpose"] != "delivery" and field["message"] != "Batch":
                self.assertIn(page.words(field["field"]), text)
        for part in ("Example Org", "privacy@example.org", "https://example.org/privacy", "random number"):
            self.assertIn(part, text)
        self.click(self.question(), "policy")
        self.assertEqual(QDesktopServices.opened, ["https://example.org/privacy"])

    def test_looking_is_no_answer(self):
        self.start()
        self.click(self.question(), "fields")
        self.assertIn("Slice.machine", QPlainTextEdit.opened[-1].text)
        self.assertEqual(agent.decision()[0], "unknown")
        self.question()

    def test_closing_is_no_and_is_asked_once(self):
        self.start()
        self.question().hide()
        self.settle()
        self.assertEqual(agent.decision()[0], "refused")
        Message.shown.clear()
        self.start()
        self.assertEqual(Message.shown, [])
        self.write()
        self.assertEqual(self.waiting(), 0)

    def test_no(self):
        self.start()
        self.click(self.question(), "no")
        self.assertEqual(agent.decision()[:2], ("refused", "user"))
        self.assertIn(page.OFF, [m.text for m in Message.shown])

    def test_a_yes_that_changes_nothing_is_told_and_not_asked_for_again(self):
        self.agree()
        with open(os.path.join(os.environ["SLICEMETRY_DIR"], "collector.json"), "w", encoding="utf-8") as f:
            f.write('{"policy": 2}')
        Message.shown.clear()
        for _ in range(2):
            self.start()
            self.assertEqual(Message.shown, [])
        self.choose("Agree or switch off")
        self.click(self.question(), "yes")
        self.assertIn("policy version 2 has not been agreed to", Message.shown[-1].text)
        settings.POLICY = 2
        self.start()
        self.click(self.question(), "yes")
        self.assertEqual(Message.shown[-1].text, page.THANKS)

    def test_a_yes_that_the_environment_overrules(self):
        os.environ["DO_NOT_TRACK"] = "1"
        self.start()
        self.assertEqual(Message.shown, [])
        self.choose("Agree or switch off")
        self.click(self.question(), "yes")
        self.assertIn("DO_NOT_TRACK", Message.shown[-1].text)
        self.write()
        self.assertEqual(self.waiting(), 0)

    def test_closing_what_was_answered_changes_nothing(self):
        self.agree()
        self.write()
        self.choose("Agree or switch off")
        self.message(page.ON_TITLE).hide()
        self.settle()
        self.choose("Agree or switch off")
        self.click(self.message(page.ON_TITLE), "keep")
        self.assertEqual((agent.decision()[0], self.waiting()), ("granted", 1))
        self.choose("Agree or switch off")
        self.click(self.message(page.ON_TITLE), "off")
        self.choose("Agree or switch off")
        self.click(self.question(), "yes")
        self.choose("Agree or switch off")
        self.choose("Agree or switch off")  # in the place of the first
        self.message(page.ON_TITLE).hide()
        self.settle()
        self.assertEqual(agent.decision()[0], "granted")

    def test_switching_off_removes_what_is_kept(self):
        self.agree()
        self.write()
        self.assertEqual(self.waiting(), 1)
        self.choose("What will be sent next")
        self.assertIn("unitToken", QPlainTextEdit.opened[-1].text)
        self.assertFalse(QPlainTextEdit.opened[-1].editable)
        self.choose("Agree or switch off")
        self.click(self.message(page.ON_TITLE), "off")
        self.assertEqual((agent.decision()[0], self.waiting()), ("refused", 0))
        self.assertFalse(QPlainTextEdit.opened[-1].visible)
        self.assertEqual(os.listdir(tempfile.tempdir), [])

    def test_erasing_comes_before_switching_off(self):
        self.agree()
        self.write()
        self.choose("What will be sent next")  # which makes the week's number
        for endpoint, state in (("127.0.0.1:1", "granted"), (settings.ENDPOINT, "refused")):
            before, settings.ENDPOINT = settings.ENDPOINT, endpoint
            self.choose("Agree or switch off")
            self.click(self.message(page.ON_TITLE), "erase")
            settings.ENDPOINT = before
            self.assertEqual(agent.decision()[0], state)
        self.assertIn("erased, no copy is left by", "".join(m.text for m in Message.shown))

    def test_told_once_of_a_new_policy(self):
        self.agree()
        with open(os.path.join(os.environ["SLICEMETRY_DIR"], "collector.json"), "w", encoding="utf-8") as f:
            f.write('{"policy": 1, "notice": {"version": 2, "effective": "2999-01-02T00:00:00Z"}}')
        Message.shown.clear()
        self.plugin._in_background(self.plugin._start)
        self.settle()
        self.plugin._in_background(self.plugin._start)
        self.settle()
        [message] = Message.shown
        self.assertIn("2999-01-02", message.text)
        self.assertIn("version 2", message.text)

    def test_taking_it_along(self):
        self.agree()
        self.write()
        QFileDialog.answer = ""
        self.choose("Save a copy of it")
        QFileDialog.answer = os.path.join(self.folder, "mine.csv")
        self.choose("Save a copy of it")
        with open(QFileDialog.answer, encoding="utf-8") as f:
            self.assertIn("ultimaker_s5", f.read())

    # What is written out.

    def test_the_last_octet_comes_first(self):
        self.agree()
        device, seen, record = slicer.LocalFileOutputDevice(self.folder), [], agent.record

        def look(event):
            with open(device.path, encoding="utf-8") as f:
                seen.append(f.read())
            return record(event)
        agent.record = look
        self.addCleanup(setattr, agent, "record", record)
        self.write(device)
        self.assertEqual(seen, [device.GCODE])
        self.assertEqual(self.waiting(), 1)

    def test_what_cannot_be_told_stops_no_print(self):
        self.agree()
        values = self.slicer._stack._values
        for value in (object(), float("nan"), {1, 2}):
            values["infill_pattern"] = value
            device = self.write()
            with open(device.path, encoding="utf-8") as f:
                self.assertEqual(f.read(), device.GCODE)
        self.assertEqual(self.waiting(), 3)
        for event in self.held():
            self.assertNotIn("infillPattern", event)
            self.assertIn("machine", event)

    def test_a_failure_of_ours_stops_no_print(self):
        self.agree()
        self.slicer.getMachineManager = None
        device = self.write()
        with open(device.path, encoding="utf-8") as f:
            self.assertEqual(f.read(), device.GCODE)
        self.complaints = [("w", "Slicemetry failed")]

    def test_the_agent_raises_nothing(self):
        self.agree()
        for event in ({"a": object()}, {1: float("inf")}, {("a",): 1}, object(), None):
            agent.record(event)
            agent.count(event)

    def test_what_failed_is_not_recorded(self):
        self.agree()
        self.write(works=False)
        self.write(closes=False)
        self.write(slicer.CloudOutputDevice(), works=False)
        self.assertEqual(self.waiting(), 0)

    def test_devices_that_do_not_say_who_they_are(self):
        self.agree()
        self.write(slicer.CloudOutputDevice())
        self.write(slicer.LocalClusterOutputDevice())
        slow, quick = slicer.CloudOutputDevice(), slicer.LocalFileOutputDevice(self.folder)
        slow.begin(self.slicer)
        self.write(quick)
        slow.end(self.slicer)
        slow.end(self.slicer)  # printed again: nothing began
        self.settle()
        self.assertEqual([e["output"] for e in self.held()],
                         ["OUTPUT_KIND_" + kind for kind in ("CLOUD", "NETWORK", "FILE", "CLOUD")])

    def test_the_settings_are_those_of_the_catalogue(self):
        self.start()
        self.assertLessEqual(set(job.PRINT_SETTINGS) | set(job.EXTRUDER_SETTINGS), slicer.settings())

    def test_many_changed_settings(self):
        self.agree()
        changed = sorted(slicer.settings())
        self.slicer._stack.qualityChanges = slicer.Container(values=dict.fromkeys(changed, 1))
        self.write()
        [event] = self.held()
        self.assertEqual((len(event["changedSettings"]), event["changedSettingsCount"]), (4, 32))

    def test_slicing_runs_are_counted(self):
        self.agree()
        backend = self.slicer.getBackend()
        for state in (3, 3, 4):  # done, done, error
            backend.slice(state)
        backend.cancel()
        backend.backendStateChange.emit(3)  # nothing was to be sliced
        self.settle()
        _, text = agent.run("preview", flags=["-json"])
        total = {}
        for line in text.splitlines()[:-1]:  # the last is how many there are
            for name, n in json.loads(line)["request"]["batch"]["counters"].items():
                total[name] = total.get(name, 0) + n
        self.assertEqual(total, {"slicesStarted": 4, "slicesFinished": 2, "slicesFailed": 1, "slicesCancelled": 1})

    # The agent.

    def test_without_an_agent(self):
        os.environ["SLICEMETRY_AGENT"] = os.path.join(HERE, "no-such-program")
        self.start()
        self.assertEqual(Message.shown, [])
        self.write()
        self.choose("Agree or switch off")
        self.assertEqual(Message.shown[-1].text, page.NO_AGENT)

    def test_an_agent_that_hangs_holds_nothing_up(self):
        self.agree()
        hanging = os.path.join(os.environ["SLICEMETRY_DIR"], "hanging")
        with open(hanging, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nexec sleep 60\n")
        os.chmod(hanging, 0o700)
        os.environ["SLICEMETRY_AGENT"] = hanging
        self.slicer._stack.qualityChanges = slicer.Container(values={"x" * 1000 + str(i): 1 for i in range(200)})  # more than a pipe takes
        for _ in range(3 * agent.MAX_RUNNING):
            slicer.LocalFileOutputDevice(self.folder).write(self.slicer)
        self.slicer.run_later()
        self.assertEqual(len(agent._running), agent.MAX_RUNNING)
        for process in agent._running:
            self.assertIsNone(process.poll())  # so nobody waited for it
            process.kill()

    def test_recorded_for_the_collector(self):
        os.environ["SLICEMETRY_DIR"] = os.environ["SLICEMETRY_KEPT"]
        self.agree()
        self.write()
        self.write(slicer.CloudOutputDevice())
        self.assertEqual(self.waiting(), 2)


if __name__ == "__main__":
    unittest.main()
