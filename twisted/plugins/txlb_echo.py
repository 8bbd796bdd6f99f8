from twisted.application.service import ServiceMaker

txecho = ServiceMaker("txecho", "txlb.echo", "An echo server, as a backend to try txlb with.", "txecho")
