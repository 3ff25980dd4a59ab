class QUrl:
    def __init__(self, path):
        self.path = path

    @classmethod
    def fromLocalFile(cls, path):
        return cls(path)
