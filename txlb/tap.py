"""`twist txlb --config config.yaml`."""

from __future__ import annotations

import sys

from twisted.application.service import IService
from twisted.python.usage import Options as UsageOptions

from txlb.checks import load_checked
from txlb.errors import BAD_CONFIG, ConfigError
from txlb.service.inheriting import Inheritance, inherit
from txlb.service.running import BalancerService
from txlb.specs import Config


class Options(UsageOptions):
    """Command line of the balancer."""

    synopsis = "[--config FILE]"
    longdesc = "Balances TCP connections over backends, as the configuration file says."
    optParameters = [["config", "c", "config.yaml", "The configuration file."]]

    config: Config
    inherited: Inheritance | None = None

    def postOptions(self) -> None:
        """Read the configuration; what is wrong with it goes to stderr, a line each, and the exit code is 78."""
        from twisted.internet import reactor

        self.inherited = inherit()
        try:
            self.config = load_checked(self["config"], reactor)
        except ConfigError as error:
            sys.stderr.write(f"{error}\n")
            if self.inherited is not None:
                self.inherited.complain("; ".join(map(str, error.problems)))
            sys.exit(BAD_CONFIG)


def makeService(options: Options) -> IService:
    """The service that `twist` runs."""
    from twisted.internet import reactor

    inherited = options.inherited
    if options.config.workers == 1 and (inherited is None or inherited.workers == 1):
        return BalancerService(options.config, reactor, inherited)
    from txlb.service.running_many import make_service  # what one process has no use for

    return make_service(options.config, reactor, options.parent, inherited)
