"""One line for each connection, when it is over.

    lines      an event to a line: JSON, or a template that the operator wrote
    log_file   the file: appended to in one write, reopened on demand; what it cannot take is counted and lost
    log        the two together: subscribes to `ConnectionClosed` only while a log is asked for

Nothing here may hold up or end the balancer: a full disk costs lines, never connections. Several processes may write the
same file, since each write appends whole lines.
"""

from txlb.access_log.lines import check_format
from txlb.access_log.log import AccessLog

__all__ = ["AccessLog", "check_format"]
