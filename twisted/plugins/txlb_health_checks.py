"""The health checks that come with txlb."""

from txlb.plugin import HealthCheckMaker

tcp = HealthCheckMaker("tcp", "txlb.health_checks.tcp:Tcp", "the backend accepts a connection")
http = HealthCheckMaker("http", "txlb.health_checks.http:Http", "a request gets a good status and, if said, a body")
send_expect = HealthCheckMaker(
    "send-expect", "txlb.health_checks.send_expect:SendExpect", "bytes sent get an answer that matches"
)
command = HealthCheckMaker("exec", "txlb.health_checks.command:Exec", "a command exits with status 0")
