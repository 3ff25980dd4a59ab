import weakref


class Signal:
    """Holds nobody who listens, and guards nobody who emits, like Uranium's."""

    def __init__(self):
        self._functions = []

    def connect(self, function):
        self._functions.append(weakref.WeakMethod(function) if hasattr(function, "__self__") else weakref.ref(function))

    def emit(self, *arguments):
        for reference in list(self._functions):
            function = reference()
            if function:
                function(*arguments)
