"""What a packager fills in, and all of it: the plug-in says who collects, and where
one can ask. As long as something is missing it keeps silent and asks nobody."""

ENDPOINT = ""  # the collector, "telemetry.example.org:443"
OPERATOR = ""  # who answers for the data, as people know them
CONTACT = ""  # where people can write to: an address of mail, or of a page
POLICY_URL = ""  # the privacy policy

POLICY = 1  # its version. A new one is asked about again: raise it with page.py and POLICY_URL

FLAGS = ()  # more for the agent, such as ("-pin", "...,...")


def complete():
    return all((ENDPOINT, OPERATOR, CONTACT, POLICY_URL))
