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
from UM.Logger import Logger  # noqa: E402
from UM.Message import Message  # noqa: E402
from cura import agent, page, register  # noqa: E402


class PluginTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        environment = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(environment)))
        os.environ["SLICEMETRY_DIR"] = os.path.join(folder.name, "state")
        Message.shown.clear()
        Message.visible.clear()
        Logger.logged.clear()

    def tearDown(self):
        self.settle()
        self.assertEqual(Logger.logged, [])

    def start(self):
        self.slicer = slicer.Slicer()
        self.plugin = register(self.slicer)["extension"]
        self.settle()

    def settle(self):
        """Lets the plug-in's threads and agents end."""
        for thread in threading.enumerate():
            if thread.name == "slicemetry":
                thread.join()
        agent.wait()
        self.slicer.run_later()

    def question(self):
        [message] = [m for m in Message.visible if m.title == page.TITLE]
        return message

    def waiting(self):
        _, text = agent.run("status", flags=["-json"])
        return json.loads(text)["spool_events"]

    def agree(self):
        self.start()
        self.question().click("yes")
        self.settle()
        self.assertEqual(agent.decision(), ("granted", "user"))

    def test_nothing_before_an_answer(self):
        self.start()
        slicer.LocalFileOutputDevice().write(self.slicer)
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

    def test_looking_is_no_answer(self):
        self.start()
        self.question().click("fields")
        self.settle()
        with open(QDesktopServices.opened[-1], encoding="utf-8") as f:
            self.assertIn("Slice.machine", f.read())
        os.remove(QDesktopServices.opened[-1])
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
        slicer.LocalFileOutputDevice().write(self.slicer)
        self.settle()
        self.assertEqual(self.waiting(), 0)

    def test_no(self):
        self.start()
        self.question().click("no")
        self.settle()
        self.assertEqual(agent.decision(), ("refused", "user"))
        self.assertIn(page.OFF, [m.text for m in Message.shown])

    def test_what_failed_is_not_recorded(self):
        self.agree()
        slicer.LocalFileOutputDevice().write(self.slicer, works=False)
        self.settle()
        self.assertEqual(self.waiting(), 0)

    def test_switching_off_removes_what_is_kept(self):
        self.agree()
        slicer.LocalFileOutputDevice().write(self.slicer)
        self.settle()
        self.assertEqual(self.waiting(), 1)
        self.plugin.items["Agree or switch off"]()
        self.question().click("no")
        self.settle()
        self.assertEqual(self.waiting(), 0)
        self.assertEqual(agent.decision()[0], "refused")

    def test_without_an_agent(self):
        os.environ["SLICEMETRY_AGENT"] = os.path.join(HERE, "no-such-program")
        self.start()
        self.assertEqual(Message.shown, [])
        slicer.LocalFileOutputDevice().write(self.slicer)
        self.plugin.ask()
        self.question().click("yes")
        self.settle()
        self.assertEqual(Message.shown[-1].text, page.NO_AGENT)

    def test_an_agent_that_hangs_holds_nothing_up(self):
        self.agree()
        hanging = os.path.join(os.environ["SLICEMETRY_DIR"], "hanging")
        with open(hanging, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nexec sleep 60\n")
        os.chmod(hanging, 0o700)
        os.environ["SLICEMETRY_AGENT"] = hanging
        for _ in range(3 * agent.MAX_RUNNING):
            slicer.LocalFileOutputDevice().write(self.slicer)
        self.assertEqual(len(agent._running), agent.MAX_RUNNING)
        for process in agent._running:
            self.assertIsNone(process.poll())  # so nobody waited for it
            process.kill()

    def test_recorded_for_the_collector(self):
        os.environ["SLICEMETRY_DIR"] = os.environ["SLICEMETRY_KEPT"]
        self.agree()
        slicer.LocalFileOutputDevice().write(self.slicer)
        self.settle()
        slicer.CloudOutputDevice().write(self.slicer)
        self.settle()
        self.assertEqual(self.waiting(), 2)


if __name__ == "__main__":
    unittest.main()
