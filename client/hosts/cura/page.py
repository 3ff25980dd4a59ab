"""The words that a user reads before deciding. Both answers are buttons of the
same kind; none is chosen beforehand, and closing the message means no. What is
collected is listed by the agent, so that nothing is left out."""

import re

from . import settings

TITLE = "May Cura send print statistics?"

TEXT = """If you agree, {operator} gets a few coarse values of each output that you write and of each slicing run:

{fields}

There is no account, no serial number, no file or printer name, and no value that you typed. A random number holds together
what you do in one week; nothing follows you from one week to the next. Your address is cut short and not stored with it.
Raw data is deleted at most 30 days after the week; what is published is protected by differential privacy.

You can look at everything that is sent, have it erased, and take your agreement back at any time, in the menu
Extensions > Print statistics. Questions: {contact}. Privacy policy, version {policy}: {url}"""

YES = "Yes, send them"
NO = "No, send nothing"

ON_TITLE = "Print statistics are on"
ON = """{operator} gets coarse statistics of what you print. Switching off removes everything that is kept here. What was sent
already can be erased only before that."""
OFF_BUTTON = "Switch off"
ERASE_BUTTON = "Erase what was sent, then switch off"
KEEP_BUTTON = "Leave on"

THANKS = "Print statistics are on. You can look at them or switch them off in the menu Extensions > Print statistics."
NOT_ON = "Nothing is sent all the same: {rule}."
OFF = "Print statistics are off. Nothing is kept and nothing is sent."
ERASED = "What was sent and could still be told apart is erased:\n"
NOTICE = "From {day} on, version {version} of the privacy policy is in force: {url}. From that day on nothing is sent until you are asked again."
SAVED = "Everything that is held here was saved."
FAILED = "That did not work. Nothing was changed."
OFFLINE = "The collector could not be reached. Nothing is lost; please try again later."
NO_AGENT = "The program slicemetry-agent was not found, so nothing is kept and nothing is sent."


def question(fields):
    """The question, with every field that can be sent."""
    return TEXT.format(operator=settings.OPERATOR, contact=settings.CONTACT, policy=settings.POLICY, url=settings.POLICY_URL,
                       fields="\n".join(_kinds(fields)))


def words(field):
    """A field's name for people: without the unit, an extruder's like any other."""
    return re.sub(r"_(um|mm|mg|s|ms|celsius|percent|mm_per_s)$", "", field.split(".")[-1]).replace("_", " ")


def _kinds(fields):
    """A line for each kind of data. What only delivers the rest is told in the text."""
    kinds = {}
    for field in fields:
        if field["message"] != "Batch":
            kinds.setdefault(field["category"], {})[words(field["field"])] = None
    return [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
