class Logger:
    logged = []

    @classmethod
    def logException(cls, level, text):
        cls.logged.append((level, text))
