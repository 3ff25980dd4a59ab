class QDesktopServices:
    opened = []

    @classmethod
    def openUrl(cls, url):
        cls.opened.append(url.url)
