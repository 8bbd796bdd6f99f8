from twisted.application.service import ServiceMaker

txlb = ServiceMaker("txlb", "txlb.tap", "A load balancer for TCP and UNIX sockets.", "txlb")
