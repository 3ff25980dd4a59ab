"""Reads from Cura what one output was: the same objects that Cura's own
SliceInfo plug-in reads, and of those only what slicemetry collects.

Not read at all: names and hashes of models, their sizes and positions, file
names, printer names, accounts, organisations, times of day.
"""

import json
import platform

# Settings by Cura's keys, with the field that the agent reads each from.
PRINT_SETTINGS = {
    "layer_height": "layer_height",
    "support_enable": "support_enabled",
    "retraction_enable": "retraction_enable",
    "prime_tower_enable": "prime_tower_enable",
    "wall_line_count": "wall_line_count",
    "gradual_infill_steps": "gradual_infill_steps",
    "adhesion_type": "adhesion_type",
    "infill_sparse_density": "infill_sparse_density",
    "infill_pattern": "infill_pattern",
    "print_sequence": "print_sequence",
}
EXTRUDER_SETTINGS = {
    "machine_nozzle_size": "extruders_nozzle_size",
    "material_print_temperature": "extruders_material_print_temperature",
}


def describe(application, device, iterate):
    """Returns the event of one output, in the flat form that the agent reads.

    What cannot be read is left out: other versions of Cura have other objects.
    iterate walks over a scene's nodes.
    """
    machines = application.getMachineManager()
    stack = machines.activeMachine
    if stack is None:
        return None
    preferences = application.getPreferences()
    information = application.getPrintInformation()
    event = {"os_type": platform.system(), "output_to": type(device).__name__}
    read = _Reader(event)
    read("cura_version", application.getVersion)
    read("active_mode", lambda: ("recommended", "custom")[int(preferences.getValue("cura/active_mode"))])
    read("language", lambda: preferences.getValue("general/language"))
    read("definition_id", stack.definition.getId)
    read("machine_settings_changed_by_user", lambda: len(stack.definitionChanges.getAllKeys()) > 0)
    read("intent_category", lambda: stack.getIntentCategory())
    read("quality_profile", lambda: stack.quality.getMetaData().get("quality_type"))
    read("user_modified_setting_keys", lambda: _changed(stack))
    read("print_time_total", lambda: int(information.currentPrintTime))
    read("models_extruder", lambda: [0 for node in iterate(application.getController().getScene().getRoot())
                                     if node.callDecoration("isSliceable")])  # counts them
    for key, field in PRINT_SETTINGS.items():
        read(field, lambda: stack.getProperty(key, "value"))
    _extruders(read, stack, information)
    return event


class _Reader:
    """Puts into an event what can be read, and handed over."""

    def __init__(self, event):
        self.event = event

    def __call__(self, name, value):
        try:
            result = value()
            json.dumps(result, allow_nan=False)
        except Exception:  # Cura's own objects, of whatever version
            return
        if result is not None:
            self.event[name] = result


def _changed(stack):
    """Names of the settings that differ from the profile, never their values."""
    keys = set(stack.userChanges.getAllKeys()) | set(stack.qualityChanges.getAllKeys())
    for extruder in stack.extruderList:
        keys |= set(extruder.userChanges.getAllKeys()) | set(extruder.qualityChanges.getAllKeys())
    return sorted(keys)


def _extruders(read, stack, information):
    extruders = sorted(stack.extruderList, key=lambda e: int(e.getMetaDataEntry("position", "0")))
    # A list with a gap would move the values behind it, so each is whole or absent.
    read("extruders_active", lambda: [bool(e.isEnabled) for e in extruders])
    read("extruders_material_guid", lambda: [e.material.getMetaData().get("GUID", "") for e in extruders])
    read("extruders_material_type", lambda: [e.material.getMetaData().get("material", "") for e in extruders])
    read("extruders_material_used", lambda: [information.materialLengths[i] for i in range(len(extruders))])
    for key, field in EXTRUDER_SETTINGS.items():
        read(field, lambda: [e.getProperty(key, "value") for e in extruders])
