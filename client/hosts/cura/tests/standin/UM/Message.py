import enum

from UM.Application import Application
from UM.Signal import Signal


class Message:
    class ActionButtonStyle(enum.Enum):
        DEFAULT = 0
        LINK = 1
        SECONDARY = 2

    shown, visible = [], []  # all there ever were, and those on the screen

    def __init__(self, text, title="", lifetime=30, dismissable=True):
        self.text, self.title, self.lifetime, self.dismissable = text, title, lifetime, dismissable
        self.actions = {}
        self.actionTriggered = Signal()

    def addAction(self, action_id, name, icon, description, button_style=ActionButtonStyle.DEFAULT):
        self.actions[action_id] = (name, button_style)

    def show(self):
        Message.shown.append(self)
        Message.visible.append(self)

    def hide(self):
        if self in Message.visible:
            Message.visible.remove(self)
            Application.getInstance().visibleMessageRemoved.emit(self)

    def click(self, action_id):
        self.actionTriggered.emit(self, action_id)
