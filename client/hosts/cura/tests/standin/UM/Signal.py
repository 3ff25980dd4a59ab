class Signal:
    def __init__(self):
        self._functions = []

    def connect(self, function):
        self._functions.append(function)

    def disconnect(self, function):
        self._functions.remove(function)

    def emit(self, *arguments):
        for function in list(self._functions):
            function(*arguments)
