class Extension:
    def __init__(self):
        self.menu, self.items = "", {}

    def setMenuName(self, name):
        self.menu = name

    def addMenuItem(self, name, function):
        self.items[name] = function
