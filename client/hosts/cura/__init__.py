# Cura loads the plug-in through these two functions.
from . import extension


def getMetaData():
    return {}


def register(app):
    return {"extension": extension.Slicemetry()}
