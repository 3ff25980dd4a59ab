"""Notes what is sliced and written out, while the user agrees. Nothing here waits,
raises or comes before the last octet of a user's print: Cura calls it in between."""

import functools

from UM.Logger import Logger
from UM.Scene.Iterator.DepthFirstIterator import DepthFirstIterator

from . import agent, job

# These say on success that they wrote; others only say that they finished, and some
# of those not who they are.
SAYS_SUCCESS = ("LocalFileOutputDevice", "RemovableDriveOutputDevice")

DONE, ERROR = 3, 4  # of UM.Backend.Backend.BackendState


def _guarded(slot):
    """Cura's signals hand exceptions on to whoever emits them, who would not close
    the file."""
    @functools.wraps(slot)
    def guarded(*arguments):
        try:
            slot(*arguments)
        except Exception:
            Logger.logException("w", "Slicemetry failed")
    return guarded


class Watch:
    def __init__(self, application):
        self.on = False  # the user agreed
        self._application = application
        self._pending = {}  # device -> the event of what it writes now
        self._written = {}  # device -> the event of what it wrote, until Cura closed it
        self._slicing = False
        devices = application.getOutputDeviceManager()
        devices.writeStarted.connect(self._started)
        devices.writeSuccess.connect(self._succeeded)
        devices.writeFinished.connect(self._finished)
        devices.writeError.connect(self._failed)
        application.callLater(self._watch_backend)  # when every plug-in is loaded

    # What is written out.

    @_guarded
    def _started(self, device):
        self._pending.pop(device, None)  # so that the newest stands last
        if self.on:
            self._pending[device] = job.describe(self._application, device, DepthFirstIterator)

    @_guarded
    def _succeeded(self, device):
        self._wrote(device)

    @_guarded
    def _finished(self, device=None):
        if device is None:
            device = self._newest()
        if type(device).__name__ not in SAYS_SUCCESS:
            self._wrote(device)

    @_guarded
    def _failed(self, device=None):
        if device is None:
            device = self._newest()
        self._pending.pop(device, None)
        self._written.pop(device, None)

    def _newest(self):
        """The device that began last, of those that do not say who they are."""
        return next((d for d in reversed(self._pending) if type(d).__name__ not in SAYS_SUCCESS), None)

    def _wrote(self, device):
        """Cura says so before it closes the file, which can fail. What is called
        later comes after that, and after the failure was told."""
        event = self._pending.pop(device, None)
        if event:
            self._written[device] = event
            self._application.callLater(lambda: self._record(device, event))

    def _record(self, device, event):
        if self._written.get(device) is event:
            del self._written[device]
            if self.on:
                agent.record(event)

    # Slicing runs. Each is told of when it ends.

    @_guarded
    def _watch_backend(self):
        backend = self._application.getBackend()
        backend.slicingStarted.connect(self._slicing_started)
        backend.slicingCancelled.connect(self._slicing_cancelled)
        backend.backendStateChange.connect(self._state_changed)

    def _slicing_started(self):
        self._slicing = True

    def _slicing_cancelled(self):
        self._slicing_ended("slicesCancelled")

    @_guarded
    def _state_changed(self, state):
        if int(state) in (DONE, ERROR):
            self._slicing_ended("slicesFinished" if int(state) == DONE else "slicesFailed")

    def _slicing_ended(self, how):
        if self._slicing and self.on:
            agent.count({"slicesStarted": 1, how: 1})
        self._slicing = False
