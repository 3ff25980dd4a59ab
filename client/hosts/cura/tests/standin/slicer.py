"""A slicer as the plug-in sees it: what it touches of Cura, and nothing more. An
attribute that is not here raises, as it would in a version that lacks it."""

import csv
import os
import tempfile
import threading

from UM.Application import Application
from UM.Signal import Signal


def settings():
    """The keys of Cura's settings, as the catalogue has them."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, *[".."] * 5, "schema", "catalog", "data", "settings.csv"), encoding="utf-8", newline="") as f:
        return {row["key"] for row in csv.DictReader(f)}


class Container:
    def __init__(self, identifier="", metadata=None, values=None):
        self._id, self._metadata, self._values = identifier, metadata or {}, values or {}

    def getId(self):
        return self._id

    def getMetaData(self):
        return self._metadata

    def getAllKeys(self):
        return set(self._values)


class Stack:
    def __init__(self, values, **parts):
        assert set(values) <= settings()
        self._values = values
        self.__dict__.update(parts)

    def getProperty(self, key, what):
        assert what == "value"
        return self._values.get(key)

    def getIntentCategory(self):
        return "visual"

    def getMetaDataEntry(self, name, default):
        return self.position if name == "position" else default


class Node:
    def __init__(self, sliceable=False, children=()):
        self.children, self._sliceable = children, sliceable

    def callDecoration(self, name):
        return self._sliceable if name == "isSliceable" else None


class Devices:
    def __init__(self):
        self.writeStarted, self.writeSuccess, self.writeFinished, self.writeError = Signal(), Signal(), Signal(), Signal()


class LocalFileOutputDevice:
    """Writes a file, and tells of it in the order of Uranium's device of that name:
    the file is closed last, which can fail. Nothing guards the signals."""

    GCODE = "G1 X1\n" * 10 + ";End of Gcode\n"

    def __init__(self, folder=None):
        self.path = os.path.join(folder or tempfile.mkdtemp(), "part.gcode")

    def write(self, slicer, works=True, closes=True):
        devices = slicer.getOutputDeviceManager()
        devices.writeStarted.emit(self)
        stream = open(self.path, "wt", encoding="utf-8")
        stream.write(self.GCODE)
        devices.writeFinished.emit(self)
        if not works:
            devices.writeError.emit(self)
            stream.close()
            return
        devices.writeSuccess.emit(self)
        stream.close()
        if not closes:
            devices.writeError.emit(self)


class CloudOutputDevice:
    """Tells when it begins who it is, and afterwards not, as Cura's own does."""

    def write(self, slicer, works=True):
        self.begin(slicer)
        self.end(slicer, works)

    def begin(self, slicer):
        slicer.getOutputDeviceManager().writeStarted.emit(self)

    def end(self, slicer, works=True):
        devices = slicer.getOutputDeviceManager()
        (devices.writeFinished if works else devices.writeError).emit()


class LocalClusterOutputDevice(CloudOutputDevice):
    pass


class Backend:
    """Uranium's Backend with the two signals of Cura's engine."""

    def __init__(self):
        self.slicingStarted, self.slicingCancelled, self.backendStateChange = Signal(), Signal(), Signal()

    def slice(self, state):
        self.slicingStarted.emit()
        self.backendStateChange.emit(2)  # processing
        self.backendStateChange.emit(state)

    def cancel(self):
        self.slicingStarted.emit()
        self.backendStateChange.emit(1)  # not started
        self.slicingCancelled.emit()


class Preferences:
    def __init__(self):
        self._values = {"cura/active_mode": "1", "general/language": "de_DE", "info/account": "secret account"}

    def addPreference(self, key, default):
        self._values.setdefault(key, default)

    def getValue(self, key):
        return self._values.get(key)

    def setValue(self, key, value):
        assert key in self._values
        self._values[key] = value


def extruder(position, guid, material, changed):
    return Stack({"machine_nozzle_size": 0.4, "material_print_temperature": 205.0 + position}, position=str(position), isEnabled=True,
                 material=Container("secret_material_id", {"GUID": guid, "material": material, "name": "Anna's own"}),
                 userChanges=Container(values={key: 1 for key in changed}), qualityChanges=Container())


class Slicer:
    def __init__(self):
        Application.instance = self
        self.visibleMessageRemoved = Signal()
        self.later = []
        self._lock = threading.Lock()
        self._devices, self._backend, self._preferences = Devices(), Backend(), Preferences()
        self._stack = Stack(
            {"layer_height": 0.2, "support_enable": True, "infill_sparse_density": 20.0, "infill_pattern": "grid",
             "adhesion_type": "brim", "wall_line_count": 3, "print_sequence": "all_at_once"},
            definition=Container("ultimaker_s5"), definitionChanges=Container(), quality=Container(metadata={"quality_type": "normal"}),
            userChanges=Container(values={"layer_height": 0.2}), qualityChanges=Container(values={"a_plugins_own": "secret value"}),
            extruderList=[extruder(1, "506c9f0d-e3aa-4bd4-b2d2-23e2425b1aa9", "PLA", ()),
                          extruder(0, "506c9f0d-e3aa-4bd4-b2d2-23e2425b1aa9", "PLA", ["infill_pattern"])])

    # What the plug-in asks an application for.

    def getOutputDeviceManager(self):
        return self._devices

    def getMachineManager(self):
        return type("Machines", (), {"activeMachine": self._stack})

    def getPreferences(self):
        return self._preferences

    def getBackend(self):
        return self._backend

    def getPrintInformation(self):
        return type("Information", (), {"currentPrintTime": 7200, "materialLengths": [10.0, 0.5], "jobName": "secret name"})

    def getController(self):
        scene = type("Scene", (), {"getRoot": staticmethod(lambda: Node(children=[Node(True), Node(True), Node()]))})
        return type("Controller", (), {"getScene": staticmethod(lambda: scene)})

    def getVersion(self):
        return "5.8.1"

    def callLater(self, function):
        with self._lock:
            self.later.append(function)

    # For tests.

    def run_later(self):
        with self._lock:
            functions, self.later = self.later, []
        for function in functions:
            function()
