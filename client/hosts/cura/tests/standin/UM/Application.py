class Application:
    instance = None

    @classmethod
    def getInstance(cls):
        return cls.instance
