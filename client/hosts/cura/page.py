"""The words that a user reads before deciding. Both answers are buttons of the
same kind; none is chosen beforehand, and closing the message means no."""

TITLE = "May Cura send print statistics?"

TEXT = """If you agree, each output you write adds a few coarse numbers: the type of machine, material and
amount used, how often you sliced, and main print settings. There is no account, no serial number, no file
or printer name, and no number that follows you from one week to the next. Your address is cut short and not
stored with it. Raw data is deleted after at most 30 days; what is published is protected by differential
privacy. You can look at everything that is sent, and take your agreement back at any time, in the menu
Extensions > Print statistics."""

YES = "Yes, send them"
NO = "No, send nothing"

THANKS = "Print statistics are on. You can look at them or switch them off in the menu Extensions > Print statistics."
OFF = "Print statistics are off. Nothing is kept and nothing is sent."
ERASED = "What was sent and could still be told apart is erased:\n"
FAILED = "That did not work. Nothing was changed."
OFFLINE = "The collector could not be reached. Nothing is lost; please try again later."
NO_AGENT = "The program slicemetry-agent was not found, so nothing is kept and nothing is sent."
