"""All checks of a lake, in the order in which one relies on the other."""
import chain
import logs
import records
import tables
from lake import Lake


def violations(request):
    """Checks one lake; returns what is broken."""
    lake = Lake(request)
    for check in (chain, records, tables, logs):
        check.check(lake)
    return lake.violations
